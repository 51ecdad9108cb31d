package secrets

import (
	"bufio"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"time"

	"kargo"
)

// ProgramName is the name of the program that opens files. It lies beside kargo.
const ProgramName = "kargo-secrets"

// The two programs talk by messages: four bytes with the length, and a JSON value. The
// first message has the operator's keys and settings. Then each request is a file, and
// each answer what became of it. Keys are never arguments or variables. The input ends
// with the last file, and the program with its input.

// protocol is the version of the messages. Both programs must have the same.
const protocol = 1

// maxMessage is the size in bytes of the longest message: a file of MaxFile bytes, which
// JSON makes longer by a third, and the secret values in it.
const maxMessage = 128 << 20

// setup is the first message.
type setup struct {
	Protocol                        int
	AgeKeys, PGPKeys, PGPPassphrase *key
	KMS                             []KMS
	Vault                           vaultSetup
	Directory                       string
	Variables                       map[string]string
	Timeout                         time.Duration
}

// vaultSetup is a Vault in a message.
type vaultSetup struct {
	Address, RoleID, AuthPath, Namespace string
	Token, SecretID, CA                  *key
}

// key is what a function of Options returned; nil for a function that is nil.
type key struct {
	Data  []byte
	Error string `json:",omitempty"`
}

// request is a file to open.
type request struct {
	Name string
	Data []byte
}

// answer is what became of a file.
type answer struct {
	Plain   []byte
	Opened  kargo.Opened
	Failure *failure `json:",omitempty"`
}

// failure is an error in a message.
type failure struct {
	Fault         kargo.Fault
	Where         kargo.Place
	Message, Hint string
}

// Program returns a value of [Options.Start]: it runs the program that lies at a path, as
// long as a revision is read.
func Program(path string) func(context.Context, Options) Opener {
	return func(ctx context.Context, options Options) Opener {
		return &program{ctx: ctx, path: path, options: options}
	}
}

// program is a running program. It is started with the first file.
type program struct {
	ctx     context.Context // of the reading of one revision; Open takes none
	path    string
	options Options
	in      io.Writer
	out     io.Reader
	broken  bool // it has ended, or does not answer as it should
}

// Open asks the program for a file.
func (p *program) Open(name string, data []byte) (plain []byte, opened kargo.Opened, err error) {
	if len(data) > MaxFile {
		return nil, opened, &kargo.Error{Fault: kargo.Invalid, Where: kargo.Place{File: name}, Err: fmt.Errorf("is longer than %d bytes", MaxFile)}
	}
	if p.in == nil {
		if err := p.start(); err != nil {
			return nil, opened, missing(name, err)
		}
	}
	var got answer
	if !p.broken {
		if err = send(p.in, request{name, data}); err == nil {
			err = receive(p.out, &got)
		}
		p.broken = err != nil
	}
	switch {
	case p.ctx.Err() != nil:
		return nil, opened, &kargo.Error{Fault: kargo.Unavailable, Where: kargo.Place{File: name}, Err: fmt.Errorf("was not opened: %w", p.ctx.Err())}
	case p.broken:
		return nil, opened, &kargo.Error{Fault: kargo.Invalid, Where: kargo.Place{File: name}, Hint: "it is sound? then " + sameVersion,
			Err: errors.New("cannot be opened: it ended the program that opens encrypted files")}
	case got.Failure != nil:
		return nil, opened, got.Failure.error()
	}
	return got.Plain, got.Opened, nil
}

const sameVersion = "install kargo and " + ProgramName + " of one version beside each other"

// missing returns the error of a file that needs a program which cannot be started. It
// does not wrap the reason: the program does not exist, but the file does.
func missing(name string, err error) error {
	return &kargo.Error{Fault: kargo.Unavailable, Where: kargo.Place{File: name}, Hint: sameVersion,
		Err: errors.New("has secrets, and the program that opens them cannot be started: " + err.Error())}
}

// start starts the program and tells it the keys. It ends with the context, or with this
// process: then its input ends.
func (p *program) start() error {
	command := exec.CommandContext(p.ctx, p.path)
	in, err := command.StdinPipe()
	if err != nil {
		return err
	}
	out, err := command.StdoutPipe()
	if err != nil {
		return err
	}
	if err := command.Start(); err != nil {
		return err
	}
	context.AfterFunc(p.ctx, func() {
		_ = in.Close()
		_ = command.Wait() // it was killed
	})
	p.in, p.out = in, bufio.NewReader(out)
	p.broken = send(p.in, p.setup()) != nil
	return nil
}

// setup reads the operator's keys.
func (p *program) setup() setup {
	o := p.options
	s := setup{
		Protocol: protocol, AgeKeys: read(o.AgeKeys), PGPKeys: read(o.PGPKeys), PGPPassphrase: read(o.PGPPassphrase), KMS: o.KMS,
		Vault: vaultSetup{
			Address: o.Vault.Address, RoleID: o.Vault.RoleID, AuthPath: o.Vault.AuthPath, Namespace: o.Vault.Namespace,
			Token: read(o.Vault.Token), SecretID: read(o.Vault.SecretID), CA: read(o.Vault.CA),
		},
		Directory: o.Directory, Timeout: o.Timeout,
	}
	if o.Variables != nil {
		s.Variables = o.Variables()
	}
	return s
}

// options returns the settings in a message as Options.
func (s setup) options() Options {
	v := s.Vault
	return Options{
		AgeKeys: s.AgeKeys.reader(), PGPKeys: s.PGPKeys.reader(), PGPPassphrase: s.PGPPassphrase.reader(), KMS: s.KMS,
		Vault: Vault{
			Address: v.Address, Token: v.Token.reader(), RoleID: v.RoleID, AuthPath: v.AuthPath, SecretID: v.SecretID.reader(),
			Namespace: v.Namespace, CA: v.CA.reader(),
		},
		Directory: s.Directory, Timeout: s.Timeout,
		Variables: func() map[string]string { return s.Variables },
	}
}

// read calls a function of Options.
func read(function func() ([]byte, error)) *key {
	if function == nil {
		return nil
	}
	data, err := function()
	if err == nil {
		return &key{Data: data}
	}
	var known *kargo.Error
	if errors.As(err, &known) {
		err = known.Err
	}
	return &key{Error: err.Error()}
}

// reader returns a function of Options that returns what another one returned.
func (k *key) reader() func() ([]byte, error) {
	switch {
	case k == nil:
		return nil
	case k.Error != "":
		return func() ([]byte, error) { return nil, errors.New(k.Error) }
	}
	return func() ([]byte, error) { return k.Data, nil }
}

// Serve is what the program does: it answers the requests of its input until that ends.
// start is that of package opener.
func Serve(ctx context.Context, in io.Reader, out io.Writer, start func(context.Context, Options) Opener) error {
	var s setup
	if err := receive(in, &s); err != nil {
		return fmt.Errorf("read the settings: %w", err)
	}
	if s.Protocol != protocol {
		return fmt.Errorf("kargo is of another version: it speaks protocol %d, and this program %d; %s", s.Protocol, protocol, sameVersion)
	}
	opener := start(ctx, s.options())
	for {
		var asked request
		if err := receive(in, &asked); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return fmt.Errorf("read a request: %w", err)
		}
		var got answer
		var err error
		if got.Plain, got.Opened, err = opener.Open(asked.Name, asked.Data); err != nil {
			got = answer{Failure: failureOf(err)}
		}
		if err := send(out, got); err != nil {
			return fmt.Errorf("send an answer: %w", err)
		}
	}
}

func failureOf(err error) *failure {
	f := &failure{Fault: kargo.FaultOf(err), Message: err.Error(), Hint: kargo.HintOf(err)}
	if known, ok := err.(*kargo.Error); ok { //nolint:errorlint // of one inside another error, the text has the place
		f.Where, f.Message = known.Where, known.Err.Error()
	}
	return f
}

func (f *failure) error() error {
	return &kargo.Error{Fault: f.Fault, Where: f.Where, Err: errors.New(f.Message), Hint: f.Hint}
}

func send(w io.Writer, message any) error {
	data, err := json.Marshal(message)
	if err != nil {
		return err
	}
	if len(data) > maxMessage {
		return fmt.Errorf("a message is longer than %d bytes", maxMessage)
	}
	_, err = w.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(data))), data...))
	return err
}

func receive(r io.Reader, into any) error {
	var length [4]byte
	if _, err := io.ReadFull(r, length[:]); err != nil {
		return err // io.EOF if there is no more message
	}
	size := binary.BigEndian.Uint32(length[:])
	if size > maxMessage {
		return fmt.Errorf("a message of %d bytes is longer than %d", size, maxMessage)
	}
	data := make([]byte, size)
	if _, err := io.ReadFull(r, data); err != nil {
		return err
	}
	return json.Unmarshal(data, into)
}
