package server

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"
)

// WithTLS returns the settings of TLS for [Serve] with a certificate and its key in
// PEM files. They are read now, and again for the next connection after one of them
// has changed, so a renewed certificate needs no restart. Files that do not fit
// together, as during a renewal, are logged, and the last certificate stays. The
// error says why they cannot be read now.
func WithTLS(certFile, keyFile string, log *slog.Logger) (*tls.Config, error) {
	c := &certificate{certFile: certFile, keyFile: keyFile, log: log}
	if err := c.read(c.changed()); err != nil {
		return nil, err
	}
	return &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: c.get}, nil
}

// certificate is a certificate that follows its files.
type certificate struct {
	certFile, keyFile string
	log               *slog.Logger

	mu   sync.Mutex
	last *tls.Certificate
	seen [2]fileState // of both files when they were read
}

// fileState tells two contents of a file apart without reading it.
type fileState struct {
	changed time.Time
	size    int64
}

func (c *certificate) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now := c.changed(); now != c.seen {
		if err := c.read(now); err != nil {
			c.log.Warn("the certificate stays as it was", "reason", err)
		}
	}
	return c.last, nil
}

// read reads both files, which are in a state. Whether it succeeds or not, they are
// not read again before the state changes.
func (c *certificate) read(state [2]fileState) error {
	c.seen = state
	pair, err := tls.LoadX509KeyPair(c.certFile, c.keyFile)
	if err != nil {
		return fmt.Errorf("read the certificate of the port: %w", err)
	}
	c.last = &pair
	return nil
}

func (c *certificate) changed() [2]fileState {
	var states [2]fileState
	for i, name := range []string{c.certFile, c.keyFile} {
		if info, err := os.Stat(name); err == nil {
			states[i] = fileState{info.ModTime(), info.Size()}
		}
	}
	return states
}
