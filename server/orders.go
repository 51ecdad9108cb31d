package server

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"kargo"
)

// Order is the body of a request that keeps something from changing, or ends that.
type Order struct {
	// Stack is the name of a stack, or "all".
	Stack string `json:"stack,omitempty"`
	// To is what a stack goes back to: the number of a deployment, or the start of
	// a commit. Empty means what ran before.
	To string `json:"to,omitempty"`
	// For is how long it lasts, as "2h"; empty means until a person ends it.
	For    string `json:"for,omitempty"`
	Reason string `json:"reason,omitempty"`
	// Plan asks for the plan only: nothing is changed.
	Plan bool `json:"plan,omitempty"`
}

// stop returns the stop that an order asks for. The error is Invalid.
func (o Order) stop(by kargo.Person, now time.Time) (kargo.Stop, error) {
	stop := kargo.Stop{By: by, Why: shortReason(o.Reason)}
	if o.For == "" {
		return stop, nil
	}
	lasts, err := time.ParseDuration(o.For)
	if err != nil || lasts <= 0 {
		return stop, kargo.Errorf(kargo.Invalid, "%q is no duration, such as 2h or 30m", o.For)
	}
	stop.Until = now.Add(lasts)
	return stop, nil
}

// shortReason returns a reason as it may be kept: one line of 200 characters at most.
func shortReason(text string) string {
	runes := []rune(kargo.PrintableLine(text))
	return string(runes[:min(len(runes), 200)])
}

// ordered handles a request with an order.
func (s *Server) ordered(do func(context.Context, http.ResponseWriter, Order, kargo.Person) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var order Order
		if !decode(w, r, &order) {
			reject(w, http.StatusBadRequest, "the request has another form than an order", `send {"stack": "NAME", "for": "2h", "reason": "…"}`)
			return
		}
		ctx, cancel := context.WithTimeout(r.Context(), previewTime)
		defer cancel()
		patient(w, previewTime+time.Minute)
		if err := do(ctx, w, order, who(r)); err != nil {
			s.fail(w, err)
		}
	}
}

func done(w http.ResponseWriter) error {
	answer(w, http.StatusOK, result{"done"})
	return nil
}

func (s *Server) hold(ctx context.Context, w http.ResponseWriter, order Order, by kargo.Person) error {
	stop, err := order.stop(by, s.now())
	if err != nil {
		return err
	}
	if err := s.Controller.Hold(ctx, order.Stack, stop); err != nil {
		return err
	}
	return done(w)
}

func (s *Server) rollback(ctx context.Context, w http.ResponseWriter, order Order, by kargo.Person) error {
	stop, err := order.stop(by, s.now())
	if err != nil {
		return err
	}
	to, err := s.renderingsOf(order)
	if err != nil {
		return err
	}
	if order.Plan {
		preview, err := s.Controller.PreviewRollback(ctx, order.Stack, to)
		if err != nil {
			return err
		}
		answer(w, http.StatusOK, preview)
		return nil
	}
	if err := s.Controller.Rollback(ctx, order.Stack, to, stop); err != nil {
		return err
	}
	return done(w)
}

// longestNumber is the length of the longest number of a deployment: what is longer
// is a commit.
const longestNumber = 6

// renderingsOf returns what an order goes back to. For the number of a deployment these
// are the renderings of the stacks then.
func (s *Server) renderingsOf(order Order) (kargo.BackTo, error) {
	number, err := strconv.ParseUint(order.To, 10, 64)
	if err != nil || len(order.To) > longestNumber {
		return kargo.BackTo{Start: order.To}, nil
	}
	deployment, err := s.History.Deployment(number)
	if err != nil {
		return kargo.BackTo{}, err
	}
	if deployment == nil {
		return kargo.BackTo{}, kargo.Errorf(kargo.Invalid, "there is no deployment %d", number)
	}
	digests := map[string]string{}
	for _, stack := range deployment.Stacks {
		if stack.Digest != "" && (order.Stack == kargo.AllStacks || stack.Name == order.Stack) {
			digests[stack.Name] = stack.Digest
		}
	}
	if len(digests) == 0 {
		return kargo.BackTo{}, kargo.Errorf(kargo.Invalid, "deployment %d has no stack %q", number, order.Stack)
	}
	return kargo.BackTo{Digests: digests}, nil
}

func (s *Server) release(ctx context.Context, w http.ResponseWriter, order Order, by kargo.Person) error {
	if err := s.Controller.Release(ctx, order.Stack, by, shortReason(order.Reason)); err != nil {
		return err
	}
	return done(w)
}

func (s *Server) suspend(ctx context.Context, w http.ResponseWriter, order Order, by kargo.Person) error {
	stop, err := order.stop(by, s.now())
	if err != nil {
		return err
	}
	if err := s.Controller.Suspend(ctx, stop); err != nil {
		return err
	}
	return done(w)
}

func (s *Server) resume(ctx context.Context, w http.ResponseWriter, order Order, by kargo.Person) error {
	if err := s.Controller.Resume(ctx, by, shortReason(order.Reason)); err != nil {
		return err
	}
	return done(w)
}
