// Package secrets opens the encrypted files of a revision: [Options.Open] returns
// an fs.FS in which every file can be read as plain text. A file that cannot be
// opened is an error, with the reason. It is never deployed encrypted.
//
// It opens whole files of age, files of SOPS with keys of age, SSH, OpenPGP, Vault
// and the key services of clouds, and references in environment files to values
// outside the repository.
//
// Files are opened in memory only, and only with the operator's keys. The
// repository names keys and key services; the operator decides which of them are
// used, and with which credentials. No home directory is read. Keys are read again
// for each revision.
//
// The libraries of SOPS and of the clouds' key services are a third of a program and of
// its memory. So they are in the package opener, and in a program of its own,
// kargo-secrets, which [Program] starts where a file needs it, and for as long as one
// revision is read. [Serve] is the other side. No other program is run.
package secrets

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"sync"
	"time"

	"kargo"
)

// DefaultTimeout is the deadline of one request to a key service or store.
const DefaultTimeout = 10 * time.Second

// Options are the operator's keys and stores. Functions are nil where nothing is
// given; they are called again for each revision.
type Options struct {
	// AgeKeys returns private keys of age, one a line, or one SSH private key.
	AgeKeys func() ([]byte, error)
	// PGPKeys returns OpenPGP private keys, armored or not. PGPPassphrase returns
	// the passphrase of those that have one.
	PGPKeys, PGPPassphrase func() ([]byte, error)
	// KMS are the key services of clouds that files may name; see [ParseKMS].
	KMS []KMS
	// Vault is the only OpenBao or Vault that is used, for keys of SOPS and for
	// references. The zero value means none.
	Vault Vault
	// Directory holds the files of ref+file:; empty means none.
	Directory string
	// Variables returns the variables that ref+env: may name, with their values.
	Variables func() map[string]string
	// Start starts what opens the files that are not plain text: [Program], or opener.Start
	// in the same process. It is called once for each revision that has such files. It
	// is nil if there is none; such files are errors then.
	Start func(context.Context, Options) Opener
	// Timeout is the deadline of one request; 0 means DefaultTimeout.
	Timeout time.Duration
}

// Opener opens the files of one revision. It belongs to one goroutine, and ends with the
// context of its start.
type Opener interface {
	// Open makes a file plain. Opened.Sealed is nil if it was plain before. Errors are as
	// those of [Options.Open].
	Open(name string, data []byte) (plain []byte, opened kargo.Opened, err error)
}

// MaxFile is the size in bytes of the largest file that is opened.
const MaxFile = 16 << 20

// Open returns files with every encrypted file opened and every reference of an
// environment file resolved, each when it is first read. A file that cannot be
// opened is an error: Invalid if that is the revision's fault, Unavailable if a key
// service or a store is not available, or ctx has ended. The result is for one
// revision; ctx must live as long as it is read from, and end then.
func (o Options) Open(ctx context.Context, files kargo.Files) kargo.Files {
	if o.Timeout == 0 {
		o.Timeout = DefaultTimeout
	}
	opened := &tree{ctx: ctx, files: files.FS, options: o, results: map[string]result{}, plain: map[string]bool{}}
	files.FS, files.Opened = opened, opened.Opened
	return files
}

// tree is a revision's files, opened.
type tree struct {
	ctx     context.Context // of the reading of one revision; the methods of fs.FS take none
	files   fs.FS
	options Options

	mu      sync.Mutex
	results map[string]result // of files that were not plain text
	plain   map[string]bool   // files that were plain text
	opener  Opener            // started at the first use
}

// result is a file that was not plain text, opened.
type result struct {
	data   []byte
	opened kargo.Opened
	err    error
}

// ReadFile returns the plain content of a file.
func (t *tree) ReadFile(name string) ([]byte, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if known, ok := t.results[name]; ok {
		return bytes.Clone(known.data), known.err
	}
	data, err := fs.ReadFile(t.files, name)
	if err != nil {
		return nil, err
	}
	var plain []byte
	var opened kargo.Opened
	if !isPlain(name, data) {
		plain, opened, err = t.open(name, data)
	}
	if err == nil && opened.Sealed == nil {
		t.plain[name] = true
		return data, nil
	}
	t.results[name] = result{plain, opened, err}
	return bytes.Clone(plain), err
}

// Opened returns how a file that was read before was opened.
func (t *tree) Opened(name string) (kargo.Opened, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	known, ok := t.results[name]
	return known.opened, ok && known.err == nil
}

// Stat implements fs.StatFS. The size is that of the plain content.
func (t *tree) Stat(name string) (fs.FileInfo, error) {
	t.mu.Lock()
	plain := t.plain[name]
	t.mu.Unlock()
	if plain { // it was read before, and its size is known
		return fs.Stat(t.files, name)
	}
	file, err := t.Open(name)
	if err != nil {
		return nil, err
	}
	info, err := file.Stat()
	return info, errors.Join(err, file.Close())
}

// Open implements fs.FS. The size is that of the plain content.
func (t *tree) Open(name string) (fs.File, error) {
	file, err := t.files.Open(name)
	if err != nil {
		return nil, err
	}
	info, err := file.Stat()
	if err != nil || info.IsDir() {
		if err != nil {
			return nil, errors.Join(err, file.Close())
		}
		return file, nil
	}
	if err := file.Close(); err != nil {
		return nil, err
	}
	data, err := t.ReadFile(name)
	if err != nil {
		return nil, err
	}
	return &plainFile{bytes.NewReader(data), plainInfo{info, int64(len(data))}}, nil
}

// ReadDir implements fs.ReadDirFS: names are not encrypted.
func (t *tree) ReadDir(name string) ([]fs.DirEntry, error) { return fs.ReadDir(t.files, name) }

// plainFile is a file that was opened.
type plainFile struct {
	*bytes.Reader
	info plainInfo
}

func (f *plainFile) Stat() (fs.FileInfo, error) { return f.info, nil }
func (f *plainFile) Close() error               { return nil }

type plainInfo struct {
	fs.FileInfo
	size int64
}

func (i plainInfo) Size() int64 { return i.size }

var _ io.Seeker = (*plainFile)(nil)

// open makes a file plain that may not be. The caller holds mu.
func (t *tree) open(name string, data []byte) ([]byte, kargo.Opened, error) {
	if t.opener == nil {
		if t.options.Start == nil {
			return nil, kargo.Opened{}, missing(name, errors.New("none is given"))
		}
		t.opener = t.options.Start(t.ctx, t.options)
	}
	return t.opener.Open(name, data)
}
