package server

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"

	"kargo"
)

const (
	defaultLimit = 20
	// MaxLimit is how many deployments one request may ask for.
	MaxLimit = 500
)

// Deployments is the response of /api/v1/deployments: the newest deployment
// first, and the address of the older ones, which is empty if there are none.
type Deployments struct {
	Deployments []kargo.Deployment `json:"deployments"`
	Next        string             `json:"next,omitempty"`
}

// window is which deployments a request asks for.
type window struct {
	search kargo.Search
	before uint64 // 0: from the newest on
	limit  int
}

// windowOf reads ?before= and ?limit=. The error is Invalid.
func windowOf(r *http.Request) (w window, err error) {
	w.limit = defaultLimit
	query := r.URL.Query()
	w.search = searchIn(query)
	if w.search.Outcome != "" && !slices.Contains(kargo.Outcomes(), w.search.Outcome) {
		return w, kargo.Errorf(kargo.Invalid, "there is no outcome %q", string(w.search.Outcome))
	}
	if text := query.Get("limit"); text != "" {
		if w.limit, err = strconv.Atoi(text); err != nil || w.limit < 1 || w.limit > MaxLimit {
			return w, kargo.Errorf(kargo.Invalid, "limit is not a number from 1 to %d", MaxLimit)
		}
	}
	if text := query.Get("before"); text != "" {
		if w.before, err = strconv.ParseUint(text, 10, 64); err != nil || w.before == 0 {
			return w, kargo.Errorf(kargo.Invalid, "before is not the number of a deployment")
		}
	}
	return w, nil
}

// read returns the deployments of the window, and the address below path of
// those before them, if there are any.
func (w window) read(history History, path string) (Deployments, error) {
	found, next, err := w.search.Find(w.before, w.limit, mostSearched, readFrom(history))
	if err != nil {
		return Deployments{}, err
	}
	page := Deployments{Deployments: found}
	if next > 0 {
		query := url.Values{"before": {strconv.FormatUint(next, 10)}, "limit": {strconv.Itoa(w.limit)}}
		for name, value := range map[string]string{"q": w.search.Text, "stack": w.search.Stack, "author": w.search.Author, "outcome": string(w.search.Outcome)} {
			if value != "" {
				query.Set(name, value)
			}
		}
		page.Next = path + "?" + query.Encode()
	}
	return page, nil
}

func (s *Server) serveDeployments(w http.ResponseWriter, r *http.Request) {
	asked, err := windowOf(r)
	if err != nil {
		reject(w, http.StatusBadRequest, err.Error(), "")
		return
	}
	page, err := asked.read(s.History, "/api/v1/deployments")
	if err != nil {
		s.fail(w, err)
		return
	}
	answer(w, http.StatusOK, page)
}

func (s *Server) serveDeployment(w http.ResponseWriter, r *http.Request) {
	if deployment := s.deploymentOf(w, r); deployment != nil {
		answer(w, http.StatusOK, deployment)
	}
}

// deploymentOf returns the deployment that a request names. If there is none,
// it sends the response itself and returns nil.
func (s *Server) deploymentOf(w http.ResponseWriter, r *http.Request) *kargo.Deployment {
	number, err := strconv.ParseUint(r.PathValue("number"), 10, 64)
	if err != nil {
		notFound(w, r)
		return nil
	}
	deployment, err := s.History.Deployment(number)
	if err != nil {
		s.fail(w, err)
		return nil
	}
	if deployment == nil {
		reject(w, http.StatusNotFound, fmt.Sprintf("there is no deployment %d", number), "old ones are removed; `kargo history` lists those that are kept")
	}
	return deployment
}
