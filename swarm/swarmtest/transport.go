package swarmtest

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"

	dockerclient "github.com/docker/docker/client"
)

// Client returns a Docker client of the engine that uses no socket.
func (e *Engine) Client() *dockerclient.Client {
	client, err := dockerclient.NewClientWithOpts(
		dockerclient.WithHost("tcp://swarmtest:2375"),
		dockerclient.WithHTTPClient(&http.Client{Transport: e.Transport()}),
		dockerclient.WithAPIVersionNegotiation(),
	)
	if err != nil {
		panic("swarmtest: make a client: " + err.Error())
	}
	return client
}

// Transport answers requests without a socket.
func (e *Engine) Transport() http.RoundTripper { return transport{e} }

// transport passes requests to the engine directly.
type transport struct{ engine *Engine }

func (t transport) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	request := r.Clone(r.Context())
	if request.Body == nil {
		request.Body = http.NoBody
	}
	defer request.Body.Close()
	if strings.HasSuffix(r.URL.Path, "/events") {
		return t.stream(request)
	}
	recorder := httptest.NewRecorder()
	if err := t.serve(recorder, request); err != nil {
		return nil, err
	}
	response := recorder.Result()
	response.Request = r
	return response, nil
}

// serve runs the handler. A connection that it cuts becomes an error, as at the other
// end of a socket.
func (t transport) serve(w http.ResponseWriter, r *http.Request) (err error) {
	defer func() {
		switch reason := recover(); {
		case reason == nil:
		case reason != http.ErrAbortHandler:
			panic(reason)
		case r.Context().Err() != nil:
			err = r.Context().Err()
		default:
			err = io.EOF
		}
	}()
	t.engine.ServeHTTP(w, r)
	return nil
}

// stream returns a response while the handler still writes.
func (t transport) stream(r *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithCancel(r.Context())
	reader, writer := io.Pipe()
	streaming := &streamWriter{header: http.Header{}, body: writer, started: make(chan struct{})}
	ended := make(chan error, 1)
	go func() {
		err := t.serve(streaming, r.WithContext(ctx))
		if err == nil {
			err = ctx.Err()
		}
		_ = writer.CloseWithError(err) // never fails; nil reads as io.EOF
		ended <- err
	}()
	select {
	case <-streaming.started:
	case err := <-ended:
		if err != nil {
			cancel()
			return nil, err
		}
	}
	return &http.Response{
		Status:     http.StatusText(streaming.status),
		StatusCode: streaming.status,
		Proto:      "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header:  streaming.header,
		Body:    streamBody{reader, cancel},
		Request: r,
	}, nil
}

// streamBody ends the handler when the client closes it.
type streamBody struct {
	*io.PipeReader
	cancel context.CancelFunc
}

func (b streamBody) Close() error {
	b.cancel()
	return b.PipeReader.Close()
}

// streamWriter is an http.ResponseWriter over a pipe.
type streamWriter struct {
	header  http.Header
	body    *io.PipeWriter
	once    sync.Once
	status  int
	started chan struct{}
}

func (w *streamWriter) Header() http.Header { return w.header }
func (w *streamWriter) Flush()              {}

func (w *streamWriter) WriteHeader(status int) {
	w.once.Do(func() {
		w.status = status
		close(w.started)
	})
}

func (w *streamWriter) Write(data []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	return w.body.Write(data)
}
