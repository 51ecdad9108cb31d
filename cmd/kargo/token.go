package main

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"sync"
)

// ownToken is the token for the API and the page that the controller makes where none was
// given: a random one, in a file of the data directory.
type ownToken struct {
	mu   sync.Mutex
	data *dataDir
}

// token returns what reads the token of the API. Its error is that there is none, and that
// none can be made.
func (s *serveFlags) token() (read func() ([]byte, error), err error) {
	if s.apiToken.given() {
		return s.apiToken.read, nil
	}
	own := &ownToken{data: &s.dataDir}
	_, err = own.read()
	return own.read, err
}

// read returns the token of the file, and makes a new one where there is none: the data
// directory may have been removed, or was full when the token was made.
func (o *ownToken) read() ([]byte, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	path := o.data.state("api-token")
	token, err := os.ReadFile(path)
	if token = bytes.TrimRight(token, "\r\n"); err == nil && len(token) > 0 {
		return token, nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if err := o.data.makeState(); err != nil {
		return nil, err
	}
	random := make([]byte, 24)
	rand.Read(random) // never fails
	token = hex.AppendEncode(nil, random)
	return token, writeWhole(path, append(bytes.Clone(token), '\n'))
}

// writeWhole writes a file that only the owner may read, whole or not at all.
func writeWhole(path string, data []byte) error {
	next := path + ".new"
	err := os.WriteFile(next, data, 0o600)
	if err == nil {
		err = os.Rename(next, path)
	}
	if err != nil {
		_ = os.Remove(next) // the error before says more
	}
	return err
}
