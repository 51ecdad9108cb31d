package swarm

import (
	"context"
	"io"
	"net/http"
)

// The context of a caller may know from a clock that a write must not be sent any more,
// without a timer that has run: the process may have been stopped meanwhile. Contexts
// that are made of it do not ask it. So its Err is asked once more just before the last
// bytes of a request go to the kernel.

// callersContext is the key of the context that a call was made with.
type callersContext struct{}

// ofCaller returns a context that carries the one that a call was made with.
func ofCaller(ctx context.Context) context.Context {
	return context.WithValue(ctx, callersContext{}, ctx)
}

// guarded is a connection over which no request goes whose caller's context has ended.
type guarded struct{ http.RoundTripper }

// RoundTrip sends a request.
//
//nolint:contextcheck // the caller's context is asked, and the request's own is used
func (g guarded) RoundTrip(r *http.Request) (*http.Response, error) {
	caller, known := r.Context().Value(callersContext{}).(context.Context)
	if !known {
		return g.RoundTripper.RoundTrip(r)
	}
	if err := caller.Err(); err != nil {
		if r.Body != nil {
			_ = r.Body.Close()
		}
		return nil, err
	}
	if r.Body == nil || r.Body == http.NoBody {
		return g.RoundTripper.RoundTrip(r)
	}
	request := r.Clone(r.Context())
	request.Body = &guardedBody{r.Body, caller, r.ContentLength}
	if r.GetBody != nil {
		request.GetBody = func() (io.ReadCloser, error) {
			body, err := r.GetBody()
			return &guardedBody{body, caller, r.ContentLength}, err
		}
	}
	return g.RoundTripper.RoundTrip(request)
}

// guardedBody is the body of a request. What is read of it is sent at once. An error
// before its last bytes leaves the request cut off, and Docker does nothing. After them
// the request is whole, so that nobody is asked any more.
type guardedBody struct {
	io.ReadCloser
	caller context.Context
	left   int64 // bytes that were not read yet; below 0 if that is not known
}

// Read reads a part of the body.
func (b *guardedBody) Read(data []byte) (int, error) {
	if b.left != 0 {
		if err := b.caller.Err(); err != nil {
			return 0, err
		}
	}
	n, err := b.ReadCloser.Read(data)
	if b.left > 0 {
		b.left -= int64(n)
	}
	return n, err
}
