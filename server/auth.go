package server

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
	"strings"
)

// require lets requests through that may use a route: they have the token, as a bearer
// token or as the password of any user name, or a session that began with it.
func (s *Server) require(route access, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		token := readSecret(s.Token)
		if len(token) == 0 {
			turnAway(w, http.StatusServiceUnavailable, "there is no token to check requests against", "set the file that holds the token")
			return
		}
		if who, known := s.identify(r, token); known && who.may(route, r.Method) {
			defer serve(r.Context())()
			r = r.WithContext(context.WithValue(r.Context(), letIn, who))
			if page, isPage := w.(*pageWriter); isPage {
				page.request = r
			}
			next.ServeHTTP(w, r)
			return
		}
		if isGuess := len(givenToken(r)) > 0; isGuess && !s.guesses().Allow() {
			s.tooManyGuesses(w)
			return
		}
		if _, isPage := w.(*pageWriter); isPage {
			s.askToSignIn(w, r, r.URL.RequestURI(), "")
			return
		}
		w.Header().Set("WWW-Authenticate", `Basic realm="Kargo: the token is the password", charset="UTF-8"`)
		reject(w, http.StatusUnauthorized, "the token is missing or wrong", tokenHint)
	})
}

// tooManyGuesses slows down all who have a wrong token, together. The right one never
// waits, so nobody can be locked out.
func (s *Server) tooManyGuesses(w http.ResponseWriter) {
	w.Header().Set("Retry-After", "10")
	turnAway(w, http.StatusTooManyRequests, "too many requests with a wrong token", "")
}

// mayStay reports whether a request that was let in would still be. The socket lets in
// everybody.
func (s *Server) mayStay(r *http.Request) bool {
	if _, checked := identityOf(r); !checked {
		return true
	}
	_, known := s.identify(r, readSecret(s.Token))
	return known
}

// tokenHint is for programs and for people who run Kargo's own commands.
const tokenHint = "send the header Authorization: Bearer TOKEN; commands of kargo take the token from --api-token-file"

func givenToken(r *http.Request) []byte {
	if scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " "); strings.EqualFold(scheme, "Bearer") {
		return []byte(strings.TrimSpace(token))
	}
	_, password, _ := r.BasicAuth()
	return []byte(password)
}

// sameSecret reports whether two secrets are equal. It takes the same time for
// each wrong one, whatever its length.
func sameSecret(given, want []byte) bool {
	a, b := sha256.Sum256(given), sha256.Sum256(want)
	return subtle.ConstantTimeCompare(a[:], b[:]) == 1
}

// readSecret returns a secret without its line end, or nil where there is none.
func readSecret(read func() ([]byte, error)) []byte {
	if read == nil {
		return nil
	}
	secret, err := read()
	if err != nil {
		return nil
	}
	return bytes.TrimRight(secret, "\r\n")
}
