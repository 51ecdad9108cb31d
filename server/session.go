package server

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"time"

	"kargo"
)

const (
	// sessionCookie begins the name of the cookie that holds the session of a browser.
	// The rest is another one for each process: a browser may be signed in to several
	// controllers at one address.
	sessionCookie = "kargo-session-"
	// sessionTime is how long a person stays signed in.
	sessionTime = 12 * time.Hour
	// maxEnded is how many sessions that were ended before their time are known.
	maxEnded = 10_000
)

// identity is who a request comes from. It says what that one may do, in one place,
// [identity.may].
type identity struct {
	// Name is what the person said at the sign-in, or as the user name beside the
	// token. Nothing proves it.
	Name string
	// Session is the ID of the session, "" for a request that has the token itself.
	Session string
}

// may reports whether somebody who was let in may use a route. For now the token
// allows everything; what roles allow is decided here. A session does not reach the
// API's writes: these are for programs, which send the token.
func (i identity) may(route access, method string) bool {
	isRead := method == http.MethodGet || method == http.MethodHead
	return i.Session == "" || route == needsForm || isRead
}

// session is what the cookie says. It is signed with a key that is made of the token and
// of a secret of the process. So a new token ends all sessions, and the end of the process
// does: the next one does not know which of them were ended before their time.
type session struct {
	ID      string    `json:"id"`
	Name    string    `json:"name"`
	Expires time.Time `json:"expires"`
}

// seal returns the digest of a text for one purpose. Its key depends on the token.
func seal(token []byte, purpose, text string) []byte {
	key := hmac.New(sha256.New, token)
	key.Write([]byte("kargo " + purpose))
	mac := hmac.New(sha256.New, key.Sum(nil))
	mac.Write([]byte(text))
	return mac.Sum(nil)
}

// sessionProcess is the process that sessions are of.
type sessionProcess struct{ cookie, purpose string }

// newSessionProcess returns one that nobody can guess.
func newSessionProcess() sessionProcess {
	id, secret := make([]byte, 4), make([]byte, 32)
	rand.Read(id) // never fails
	rand.Read(secret)
	return sessionProcess{cookie: sessionCookie + hex.EncodeToString(id), purpose: "session " + string(secret)}
}

// encode returns a session as the value of a cookie.
func (p sessionProcess) encode(s session, token []byte) string {
	text, _ := json.Marshal(s) // strings and a time can always be written
	body := base64.RawURLEncoding.EncodeToString(text)
	return body + "." + base64.RawURLEncoding.EncodeToString(seal(token, p.purpose, body))
}

// decode returns the session of a cookie's value, if it is signed and not over.
func (p sessionProcess) decode(value string, token []byte, now time.Time) (s session, valid bool) {
	body, signature, _ := strings.Cut(value, ".")
	given, err := base64.RawURLEncoding.DecodeString(signature)
	if err != nil || !hmac.Equal(given, seal(token, p.purpose, body)) {
		return session{}, false
	}
	text, err := base64.RawURLEncoding.DecodeString(body)
	if err != nil || json.Unmarshal(text, &s) != nil {
		return session{}, false
	}
	return s, now.Before(s.Expires)
}

// identify returns who a request comes from: it has the token, or the cookie of a
// session.
func (s *Server) identify(r *http.Request, token []byte) (identity, bool) {
	if len(token) == 0 {
		return identity{}, false
	}
	if sameSecret(givenToken(r), token) {
		name, _, _ := r.BasicAuth()
		return identity{Name: shortName(name)}, true
	}
	cookie, err := r.Cookie(s.process().cookie)
	if err != nil || r.Header.Get("Authorization") != "" {
		return identity{}, false
	}
	found, valid := s.process().decode(cookie.Value, token, s.now())
	if !valid || s.ended().has(found.ID) {
		return identity{}, false
	}
	return identity{Name: found.Name, Session: found.ID}, true
}

// identityOf returns who a request comes from. The socket, which has no token, lets in
// everybody: of them nothing is known.
func identityOf(r *http.Request) (who identity, known bool) {
	who, known = r.Context().Value(letIn).(identity)
	return who, known
}

// signIn takes the form of the sign-in page.
func (s *Server) signIn(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxRequest)
	token := readSecret(s.Token)
	switch {
	case len(token) == 0:
		turnAway(w, http.StatusServiceUnavailable, "there is no token to check requests against", "set the file that holds the token")
		return
	case !sameSecret([]byte(strings.TrimSpace(r.PostFormValue("token"))), token):
		if !s.guesses().Allow() {
			s.tooManyGuesses(w)
			return
		}
		s.askToSignIn(w, r, r.PostFormValue("next"), "This is not the token.")
		return
	}
	id := make([]byte, 16)
	rand.Read(id) // never fails
	started := session{ID: hex.EncodeToString(id), Name: shortName(r.PostFormValue("name")), Expires: s.now().Add(sessionTime)}
	http.SetCookie(w, s.cookie(r, s.process().encode(started, token), int(sessionTime/time.Second)))
	http.Redirect(w, r, localPath(r.PostFormValue("next")), http.StatusSeeOther)
}

// signOut ends the session.
func (s *Server) signOut(w http.ResponseWriter, r *http.Request) {
	if who, _ := identityOf(r); who.Session != "" {
		s.ended().add(who.Session)
	}
	http.SetCookie(w, s.cookie(r, "", -1))
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

// cookie returns the cookie of a session. Over TLS, also that of a proxy, a browser
// must not send it in the clear.
func (s *Server) cookie(r *http.Request, value string, seconds int) *http.Cookie {
	return &http.Cookie{
		Name: s.process().cookie, Value: value, Path: "/", MaxAge: seconds, HttpOnly: true, SameSite: http.SameSiteStrictMode,
		Secure: r.TLS != nil || strings.EqualFold(r.Header.Get("X-Forwarded-Proto"), "https"),
	}
}

// localPath returns a path of this server to go on to, whatever was asked for.
func localPath(asked string) string {
	address, err := url.Parse(asked)
	if err != nil || address.IsAbs() || address.Host != "" || !strings.HasPrefix(asked, "/") ||
		strings.HasPrefix(asked, "//") || strings.Contains(asked, `\`) || strings.HasPrefix(asked, "/sign-") {
		return "/"
	}
	return asked
}

// formToken returns a text that a form of this session sends along: who does not see
// the page cannot know it. It is another one each time, so that its compressed length
// tells nothing.
func formToken(token []byte, who identity) string {
	nonce := make([]byte, 16)
	rand.Read(nonce) // never fails
	text := base64.RawURLEncoding.EncodeToString(nonce)
	return text + "." + base64.RawURLEncoding.EncodeToString(seal(token, "form", text+" "+who.Session))
}

// isFormToken reports whether a text was made by formToken for this session.
func isFormToken(given string, token []byte, who identity) bool {
	text, signature, _ := strings.Cut(given, ".")
	decoded, err := base64.RawURLEncoding.DecodeString(signature)
	return err == nil && hmac.Equal(decoded, seal(token, "form", text+" "+who.Session))
}

// requireForm lets a form through that was made by this server for the same session.
func (s *Server) requireForm(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, maxRequest)
		who, _ := identityOf(r)
		if !isFormToken(r.PostFormValue("form"), readSecret(s.Token), who) {
			sendProblem(w, http.StatusForbidden, Problem{Fault: kargo.Invalid, Message: "the form is not one of this session", Hint: "load the page again, and send its form"})
			return
		}
		next(w, r)
	}
}
