package server

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
	"strings"

	"golang.org/x/time/rate"
)

// requireToken lets requests through that have the token: as a bearer token, or,
// from browsers, as the password of any user name.
func (s *Server) requireToken(next http.Handler) http.Handler {
	// Wrong tokens are slowed down for all clients together. The right one
	// never waits, so nobody can be locked out.
	guesses := rate.NewLimiter(5, 20)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		token := readSecret(s.Token)
		if len(token) == 0 {
			turnAway(w, http.StatusServiceUnavailable, "there is no token to check requests against", "set the file that holds the token")
			return
		}
		if sameSecret(givenToken(r), token) {
			next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), letIn, true)))
			return
		}
		if !guesses.Allow() {
			w.Header().Set("Retry-After", "10")
			turnAway(w, http.StatusTooManyRequests, "too many requests with a wrong token", "")
			return
		}
		w.Header().Set("WWW-Authenticate", `Basic realm="Kargo: the token is the password", charset="UTF-8"`)
		reject(w, http.StatusUnauthorized, "the token is missing or wrong", tokenHint)
	})
}

// mayStay reports whether a request that was let in would still be. The local handler
// lets in everybody.
func (s *Server) mayStay(r *http.Request) bool {
	if r.Context().Value(letIn) == nil {
		return true
	}
	token := readSecret(s.Token)
	return len(token) > 0 && sameSecret(givenToken(r), token)
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
