package server

import (
	"context"
	"encoding/json"
	"net/http"
	"strconv"
	"sync"
	"time"

	"kargo"
)

// patient gives a request more time than others have; 0 stands for no limit. Without
// it, the context of a request ends when its connection has been read for too long.
func patient(w http.ResponseWriter, d time.Duration) {
	control, until := http.NewResponseController(w), time.Time{}
	if d > 0 {
		until = time.Now().Add(d)
	}
	// A test's recorder has no deadlines; those of a connection can be moved.
	_ = control.SetReadDeadline(until)
	_ = control.SetWriteDeadline(until)
}

// unhurried handles a request within previewTime, which is more than others have.
func unhurried(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), previewTime)
		defer cancel()
		patient(w, previewTime+time.Minute)
		next(w, r.WithContext(ctx))
	}
}

// stream is a response of JSON documents, one a line, that may have no end.
type stream struct {
	mu    sync.Mutex
	w     http.ResponseWriter
	begun bool
}

// streamPatience is how long a client may take for one line.
const streamPatience = 30 * time.Second

// send sends one document.
func (s *stream) send(document any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.begin()
	control := http.NewResponseController(s.w)
	_ = control.SetWriteDeadline(time.Now().Add(streamPatience))
	_ = json.NewEncoder(s.w).Encode(document) // a client that has gone ends the request
	_ = control.Flush()
}

// begin sends the header, once.
func (s *stream) begin() {
	if !s.begun {
		s.w.Header().Set("Content-Type", "application/x-ndjson")
		s.w.WriteHeader(http.StatusOK)
		s.begun = true
	}
}

// question is what a stream answers.
type question struct {
	request *http.Request
	since   time.Time
	follow  bool
}

// streaming returns the handler of a question that the inspector answers line by line.
// follow=true asks for lines without an end.
func (s *Server) streaming(ask func(ctx context.Context, q question, send func(any)) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if !s.canInspect(w) {
			return
		}
		q := question{request: r, follow: r.FormValue("follow") == "true"}
		var err error
		if text := r.FormValue("since"); text != "" {
			if q.since, err = kargo.ParseSince(text, s.now()); err != nil {
				s.fail(w, err)
				return
			}
		}
		ctx, limit := r.Context(), time.Duration(0)
		if !q.follow {
			limit = previewTime
			var cancel context.CancelFunc
			ctx, cancel = context.WithTimeout(ctx, limit)
			defer cancel()
			limit += time.Minute
		}
		patient(w, limit)
		out := &stream{w: w}
		if err := ask(ctx, q, out.send); err != nil && !out.begun {
			s.fail(w, err)
			return
		}
		out.begin()
	}
}

// logs takes ?stack=&service=&since=&tail=&follow=.
func (s *Server) logs(ctx context.Context, q question, send func(any)) error {
	options := kargo.LogOptions{Since: q.since, Follow: q.follow}
	if text := q.request.FormValue("tail"); text != "" {
		tail, err := strconv.Atoi(text)
		if err != nil || tail < 0 {
			return kargo.Errorf(kargo.Invalid, "tail is not a number of lines")
		}
		options.Tail = tail
	}
	return s.Inspector.Logs(ctx, q.request.FormValue("stack"), q.request.FormValue("service"), options, func(line kargo.LogLine) { send(line) })
}

// events takes ?stack=&since=&follow=.
func (s *Server) events(ctx context.Context, q question, send func(any)) error {
	return s.Inspector.Events(ctx, q.request.FormValue("stack"), q.since, q.follow, func(h kargo.Happening) { send(h) })
}
