package server

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"

	"kargo"
)

// action is something that a person can ask for on the page. Its functions are those
// of the API and the commands.
type action struct {
	name  string // in the address
	title string // of its page, and of the button that asks for it
	means string // what will happen, in one sentence
	done  string // what is said after it
	// ofStack: it is about one stack. lasting: it can end by itself. why: it needs a
	// reason; the others take one.
	ofStack, lasting, why bool
	// look returns what would happen.
	look func(*Server, context.Context, request) (outlook, error)
	do   func(*Server, context.Context, request) error
}

// request is what a person asks for.
type request struct {
	Order
	ID string // of the plan that the person has seen
	By kargo.Person
}

// outlook is what an action would do.
type outlook struct {
	ID      string // of the plan
	Changes []kargo.Change
	Held    []kargo.Hold
	// Warnings are those of the plan.
	Warnings []kargo.Warning
	// Empty is what is said if there is neither.
	Empty string
	// Failure is what a retry is about.
	Failure *kargo.Failure
	// Kept are the renderings that a stack can go back to, To the one that is meant.
	Kept []kargo.KeptRendering
	To   string
	// Rewind is the revision that would be put in force although it does not come after
	// the one that is.
	Rewind *rewind
}

// rewind is a revision that does not come after the one in force.
type rewind struct{ InForce, Refused kargo.Revision }

// actions are the actions by name.
var actions = map[string]action{}

func init() {
	for _, a := range []action{
		{name: "sync", title: "Sync", means: "Kargo asks git now, looks at the whole Swarm, and changes what differs.", done: "A round was asked for.",
			look: (*Server).lookAhead, do: func(s *Server, _ context.Context, r request) error {
				s.Controller.Nudge(because(r.By, r.Reason).Did("sync"))
				return nil
			}},
		{name: "approve", title: "Approve", means: "What waits for approval in this plan is done. If the plan is another one by then, nothing of it is approved, and the page shows the new one.", done: "The plan was approved.", why: true,
			look: (*Server).lookAtApproval, do: func(s *Server, ctx context.Context, r request) error {
				return s.Controller.Approve(ctx, r.ID, because(r.By, r.Reason))
			}},
		{name: "rewind", title: "Approve the commit", means: "The commit that was refused is put in force, although it does not come after the one that is. What was committed between the two is undone.", done: "The commit was approved.", why: true,
			look: (*Server).lookAtRewind, do: (*Server).rewind},
		{name: "retry", title: "Retry", means: "The rendering that failed is sent again.", done: "The rendering is sent again.", ofStack: true,
			look: (*Server).lookAtStack, do: func(s *Server, _ context.Context, r request) error {
				s.Controller.Retry(r.Stack, because(r.By, r.Reason))
				return nil
			}},
		{name: "adopt", title: "Adopt", means: "Kargo takes over the objects of the stack's names that have no owner, and changes them to what the repository says.", done: "The objects are taken over.", ofStack: true, why: true,
			look: (*Server).lookAtStack, do: func(s *Server, _ context.Context, r request) error {
				s.Controller.Adopt(r.Stack, because(r.By, r.Reason))
				return nil
			}},
		{name: "rollback", title: "Roll back", means: "The stack goes back to a rendering that came up before, and stays there over new commits until it is released.", done: "The stack goes back.", ofStack: true, lasting: true, why: true,
			look: (*Server).lookBack, do: (*Server).goBack},
		{name: "hold", title: "Hold", means: "The stack stays as it runs. Neither commits nor corrections of drift change it until it is released.", done: "The stack is held.", ofStack: true, lasting: true, why: true,
			look: (*Server).lookAtStack, do: func(s *Server, ctx context.Context, r request) error {
				stop, err := r.stop(r.By, s.now())
				if err != nil {
					return err
				}
				return s.Controller.Hold(ctx, r.Stack, stop)
			}},
		{name: "release", title: "Release", means: "The stack becomes what the newest revision says.", done: "The stack is released.", ofStack: true,
			look: (*Server).lookAtStack, do: func(s *Server, ctx context.Context, r request) error {
				return s.Controller.Release(ctx, r.Stack, r.By, shortReason(r.Reason))
			}},
		{name: "suspend", title: "Suspend", means: "Everything stays as it runs. Kargo still reads git, looks at the Swarm, and shows what it would do.", done: "Kargo is suspended.", lasting: true, why: true,
			look: (*Server).lookAtPending, do: func(s *Server, ctx context.Context, r request) error {
				stop, err := r.stop(r.By, s.now())
				if err != nil {
					return err
				}
				return s.Controller.Suspend(ctx, stop)
			}},
		{name: "resume", title: "Resume", means: "Kargo changes again what differs from the repository.", done: "Kargo works again.",
			look: (*Server).lookAtPending, do: (*Server).goOn},
		{name: "lift", title: "Lift the freeze", means: "Kargo changes what differs from the repository although a freeze window lasts. The next window begins as usual.", done: "The freeze window is lifted.", why: true,
			look: (*Server).lookAtPending, do: (*Server).goOn},
	} {
		actions[a.name] = a
	}
}

// goOn ends what keeps everything from changing.
func (s *Server) goOn(ctx context.Context, r request) error {
	return s.Controller.Resume(ctx, r.By, shortReason(r.Reason))
}

// lookAhead returns what the next round would do.
func (s *Server) lookAhead(ctx context.Context, _ request) (outlook, error) {
	preview, err := s.Controller.Preview(ctx)
	if err != nil {
		return outlook{}, err
	}
	return outlook{ID: preview.Plan.ID(), Changes: preview.Plan.Changes, Held: preview.Plan.Held, Warnings: preview.Plan.Warnings, Empty: "What runs is what the repository says: there is nothing to change."}, preview.Problems.Err()
}

// lookAtPending returns what the last look would still do.
func (s *Server) lookAtPending(context.Context, request) (outlook, error) {
	pending := s.Controller.Status().Pending
	return outlook{ID: pending.ID, Changes: pending.Changes, Held: pending.Held, Warnings: pending.Warnings, Empty: "Nothing is pending now."}, nil
}

// lookAtApproval returns what waits for approval: nothing else is approved.
func (s *Server) lookAtApproval(ctx context.Context, r request) (outlook, error) {
	seen, err := s.lookAtPending(ctx, r)
	seen.Held = slices.DeleteFunc(slices.Clone(seen.Held), func(hold kargo.Hold) bool { return hold.Until != kargo.UntilApproved })
	if len(seen.Held) == 0 {
		return seen, kargo.Errorf(kargo.Conflict, "nothing waits for approval")
	}
	return seen, err
}

// lookAtRewind returns the revision that was refused. What it would change is not known:
// it was not read.
func (s *Server) lookAtRewind(context.Context, request) (outlook, error) {
	status := s.Controller.Status()
	if !status.Rewinds {
		return outlook{}, kargo.Errorf(kargo.Conflict, "no commit waits for approval")
	}
	return outlook{ID: string(status.Head.ID()), Rewind: &rewind{status.Applied, status.Head},
		Empty: "What it changes is not known yet: the commit is read after the approval. Suspend Kargo first if you want to see the plan before it is carried out."}, nil
}

// rewind approves the revision that the person has seen.
func (s *Server) rewind(ctx context.Context, r request) error {
	seen, err := s.lookAtRewind(ctx, r)
	switch {
	case err != nil:
		return err
	case seen.ID != r.ID:
		return &kargo.Error{Fault: kargo.Conflict, Err: errors.New("the commit is another one by now"), Hint: "look at it once more"}
	}
	return s.Controller.Approve(ctx, r.ID, because(r.By, r.Reason))
}

// lookAtStack returns what is pending of one stack.
func (s *Server) lookAtStack(_ context.Context, r request) (outlook, error) {
	status := s.Controller.Status()
	seen := outlook{Empty: "Nothing of the stack is pending now.", Held: holdsByStack(status.Pending.Held)[r.Stack]}
	for _, change := range status.Pending.Changes {
		if change.Stack == r.Stack {
			seen.Changes = append(seen.Changes, change)
		}
	}
	for _, stack := range status.Stacks {
		if stack.Name == r.Stack {
			seen.Failure = stack.Failure
			return seen, nil
		}
	}
	return seen, kargo.Errorf(kargo.Invalid, "there is no stack %q", r.Stack)
}

// lookBack returns what going back would do, and what the stack can go back to.
func (s *Server) lookBack(ctx context.Context, r request) (outlook, error) {
	kept, err := s.History.Kept(r.Stack)
	if err != nil {
		return outlook{}, err
	}
	to, err := s.renderingsOf(r.Order)
	if err != nil {
		return outlook{}, err
	}
	preview, err := s.Controller.PreviewRollback(ctx, r.Stack, to)
	if err != nil {
		return outlook{}, err
	}
	// What else the plan changes is shown, and what else it holds is not news.
	held := holdsByStack(preview.Plan.Held)[r.Stack]
	return outlook{ID: preview.Plan.ID(), Changes: preview.Plan.Changes, Held: held, Warnings: preview.Plan.Warnings, Kept: kept, To: cmp.Or(to.Digests[r.Stack], to.Start), Empty: "It runs already: there is nothing to change."}, nil
}

var errOtherPlan = &kargo.Error{Fault: kargo.Conflict, Err: errors.New("the plan is another one by now"), Hint: "look at it once more"}

// goBack has a stack go back, if that does what the person has seen.
func (s *Server) goBack(ctx context.Context, r request) error {
	seen, err := s.lookBack(ctx, r)
	if err != nil {
		return err
	}
	if seen.ID != r.ID {
		return errOtherPlan
	}
	stop, err := r.stop(r.By, s.now())
	if err != nil {
		return err
	}
	return s.Controller.Rollback(ctx, r.Stack, kargo.BackTo{Start: seen.To}, stop)
}

// actionView is what the page of an action shows.
type actionView struct {
	frame
	Name, Action, Means string
	OfStack, Lasting    bool
	Why                 bool
	Request             request
	Seen                outlook
	Refused             *Problem // why it was not done
}

// Back returns the address to which a person goes without doing anything.
func (v actionView) Back() string { return backTo(v.Request.Stack) }

func backTo(stack string) string {
	if stack == "" {
		return "/"
	}
	return "/stacks/" + url.PathEscape(stack)
}

// requested returns what a request asks for, and the action; it sends the response
// itself if there is none.
func (s *Server) requested(w http.ResponseWriter, r *http.Request) (a action, asked request, found bool) {
	a, found = actions[r.PathValue("action")]
	if !found {
		notFound(w, r)
		return a, asked, false
	}
	value := r.FormValue // of the address, or of the form
	asked = request{Order: Order{Stack: value("stack"), To: value("to"), For: value("for"), Reason: value("reason")}, ID: value("plan"), By: who(r)}
	if !a.ofStack {
		asked.Stack = ""
	}
	return a, asked, !s.refersToLeader(w)
}

// actionPage shows what an action would do, and asks why.
func (s *Server) actionPage(w http.ResponseWriter, r *http.Request) {
	a, asked, found := s.requested(w, r)
	if !found {
		return
	}
	s.showAction(r.Context(), w, r, http.StatusOK, a, asked, nil)
}

// act does what a person has confirmed.
func (s *Server) act(w http.ResponseWriter, r *http.Request) {
	a, asked, found := s.requested(w, r)
	if !found {
		return
	}
	ctx, err := r.Context(), error(nil)
	if a.why && shortReason(asked.Reason) == "" {
		err = kargo.Errorf(kargo.Invalid, "say why: it is in the history, for those who come after you")
	}
	if err == nil {
		_, err = s.lookIfStack(ctx, a, asked)
	}
	if err == nil {
		err = a.do(s, ctx, asked)
	}
	if err != nil {
		s.showAction(ctx, w, r, httpStatus(kargo.FaultOf(err)), a, asked, err)
		return
	}
	http.Redirect(w, r, backTo(asked.Stack)+"?done="+a.name, http.StatusSeeOther)
}

// lookIfStack returns an error if an action is about a stack that is not there.
func (s *Server) lookIfStack(ctx context.Context, a action, asked request) (outlook, error) {
	if !a.ofStack {
		return outlook{}, nil
	}
	return s.lookAtStack(ctx, asked)
}

// showAction shows the page of an action. If it was refused, it says why.
func (s *Server) showAction(ctx context.Context, w http.ResponseWriter, r *http.Request, code int, a action, asked request, refused error) {
	status := s.Controller.Status()
	view := actionView{frame: s.frame(r, status), Name: a.name, Action: a.title, Means: a.means, OfStack: a.ofStack, Lasting: a.lasting, Why: a.why, Request: asked}
	view.Title, view.Tab = fmt.Sprintf("%s %s – Kargo %s", a.title, asked.Stack, status.Instance), "stacks"
	seen, err := a.look(s, ctx, asked)
	if err != nil && len(seen.Changes)+len(seen.Held) == 0 {
		s.fail(w, err)
		return
	}
	view.Seen = seen
	if refused == nil {
		refused = err
	}
	if refused != nil {
		problem := ProblemOf(refused)
		view.Refused = &problem
	}
	s.render(w, r, code, "action.html", view)
}

// offer is an action that fits the state of a stack.
type offer struct{ Name, Title string }

// actionsOf returns the actions that fit the state of a stack, the likeliest first.
func actionsOf(stack stackRow) []offer {
	var names []string
	if stack.Failure != nil {
		names = append(names, "retry")
	}
	if stack.Stop != nil {
		names = append(names, "release")
	}
	if stack.HasEarlier && !stack.Leaving && (stack.Stop == nil || !stack.Stop.WentBack()) {
		names = append(names, "rollback")
	}
	if stack.Stop == nil && !stack.Leaving {
		names = append(names, "hold")
	}
	var offers []offer
	for _, name := range names {
		offers = append(offers, offer{name, actions[name].title})
	}
	return offers
}
