package server

import (
	"fmt"
	"net/http"
	"net/http/pprof"
	"strconv"
	"sync"

	"kargo"
)

// longestProfile is how long one profile may take, in seconds.
const longestProfile = 60

// profiling is locked while a profile is made. The process can make only one of its
// processor time, whoever asks for it.
var profiling sync.Mutex

// profiles are served under /debug/pprof. The command line of the process is not among
// them: addresses in it may contain passwords, which the page of settings masks.
var profiles = []struct {
	name   string
	handle http.HandlerFunc
}{
	{"allocs", pprof.Handler("allocs").ServeHTTP},
	{"goroutine", pprof.Handler("goroutine").ServeHTTP},
	{"heap", pprof.Handler("heap").ServeHTTP},
	{"profile", pprof.Profile},
	{"threadcreate", pprof.Handler("threadcreate").ServeHTTP},
	{"trace", pprof.Trace},
}

func profileRoutes() []route {
	routes := []route{{"GET /debug/pprof/{$}", needsToken, listProfiles}}
	for _, profile := range profiles {
		routes = append(routes, route{"GET /debug/pprof/" + profile.name, needsToken, oneProfile(profile.handle)})
	}
	return routes
}

// listProfiles responds with the addresses of all profiles, one a line.
func listProfiles(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	for _, profile := range profiles {
		fmt.Fprintln(w, "/debug/pprof/"+profile.name)
	}
}

// oneProfile bounds how long a profile takes. It refuses one while another is made.
func oneProfile(handle http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if given := r.FormValue("seconds"); given != "" {
			if seconds, err := strconv.Atoi(given); err != nil || seconds < 1 || seconds > longestProfile {
				reject(w, http.StatusBadRequest, fmt.Sprintf("seconds is %q", given), fmt.Sprintf("give a whole number from 1 to %d", longestProfile))
				return
			}
		}
		if !profiling.TryLock() {
			sendProblem(w, http.StatusConflict, Problem{Fault: kargo.Conflict, Message: "another profile is being made",
				Hint: fmt.Sprintf("try again when it has ended, after %d seconds at most", longestProfile)})
			return
		}
		defer profiling.Unlock()
		handle(w, r)
	}
}
