package wire

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"

	"kargo"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/format/pktline"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp/capability"
	"github.com/go-git/go-git/v5/plumbing/transport"
)

// Session is one conversation with a git service of a remote. Refs must be called
// first. A session is for one goroutine.
type Session struct{ carrier carrier }

// carrier sends the requests of a session and returns the answers.
type carrier interface {
	// list returns the first thing that the service sends: the list of its refs.
	list(ctx context.Context) (io.ReadCloser, error)
	// ask sends a request and returns the answer, which the caller closes.
	ask(ctx context.Context, request []byte) (io.ReadCloser, error)
}

// Ref is a line of a remote's list of refs.
type Ref struct {
	Name   string // "HEAD" or a full name: "refs/heads/main"
	Hash   plumbing.Hash
	Peeled plumbing.Hash // the commit of an annotated tag; else zero
}

// Commit returns the commit that the ref is at.
func (r Ref) Commit() plumbing.Hash {
	if r.Peeled.IsZero() {
		return r.Hash
	}
	return r.Peeled
}

// Refs reads the list of refs, calls visit with each, and returns what the remote
// supports. It keeps no ref: a list may be longer than the memory. A remote without
// refs is [transport.ErrEmptyRemoteRepository].
//
// go-git hides multi_ack, because it cannot negotiate with it, and thin packs, because
// it cannot store them. Here they are returned. Azure DevOps and CodeCommit refuse a
// client that does not support multi_ack. A fetch into an empty repository does not
// negotiate, so it may announce it; each other request must leave it out.
func (s *Session) Refs(ctx context.Context, visit func(Ref)) (*capability.List, error) {
	answer, err := s.carrier.list(ctx)
	if err != nil {
		return nil, err
	}
	defer answer.Close()
	return readRefs(answer, visit)
}

// UploadPack requests a pack. The caller closes the response.
func (s *Session) UploadPack(ctx context.Context, request *packp.UploadPackRequest) (*packp.UploadPackResponse, error) {
	var text bytes.Buffer
	if err := errors.Join(request.Validate(), request.UploadRequest.Encode(&text), request.UploadHaves.Encode(&text, false),
		pktline.NewEncoder(&text).EncodeString("done\n")); err != nil {
		return nil, fmt.Errorf("encode the request for a pack: %w", err)
	}
	answer, err := s.carrier.ask(ctx, text.Bytes())
	if err != nil {
		return nil, err
	}
	response := packp.NewUploadPackResponse(request)
	if err := response.Decode(answer); err != nil {
		return nil, errors.Join(err, answer.Close())
	}
	return response, nil
}

// ReceivePack sends a pack and returns the result.
func (s *Session) ReceivePack(ctx context.Context, request *packp.ReferenceUpdateRequest) (*packp.ReportStatus, error) {
	var text bytes.Buffer
	if err := request.Encode(&text); err != nil {
		return nil, fmt.Errorf("encode the pack to send: %w", err)
	}
	answer, err := s.carrier.ask(ctx, text.Bytes())
	if err != nil {
		return nil, err
	}
	defer answer.Close()
	report := packp.NewReportStatus()
	if err := report.Decode(answer); err != nil {
		return nil, err
	}
	return report, report.Error()
}

// Ask sends a request that go-git cannot encode. The caller closes the answer.
func (s *Session) Ask(ctx context.Context, request []byte) (io.ReadCloser, error) {
	return s.carrier.ask(ctx, request)
}

// Marks in a list of refs.
const (
	peeledEnd    = "^{}"             // ends the name of what an annotated tag is for
	noRefs       = "capabilities^{}" // is the name where there are no refs
	shallowStart = "shallow "        // begins the lines after the refs
)

// readRefs reads a list of refs as gitprotocol-pack(5) describes it: a line for
// each, the first of them with the capabilities.
func readRefs(from io.Reader, visit func(Ref)) (*capability.List, error) {
	lines := pktline.NewScanner(from)
	line, err := firstLine(lines)
	if err != nil {
		return nil, err
	}
	capabilities := capability.NewList()
	ref, after, _ := strings.Cut(line, "\x00")
	if err := capabilities.Decode([]byte(after)); err != nil {
		return nil, fmt.Errorf("read the capabilities of the remote: %w", err)
	}
	if err := checkObjectFormat(capabilities); err != nil {
		return nil, err
	}
	var last Ref // the next line may be the commit of this tag
	for line = ref; ; {
		next, err := parseRef(line)
		switch {
		case err != nil:
			return nil, err
		case next.Name == noRefs:
			return nil, transport.ErrEmptyRemoteRepository
		case last.Name != "" && next.Name == last.Name+peeledEnd:
			last.Peeled = next.Hash
		default:
			visitNamed(last, visit)
			last = next
		}
		if line, err = nextLine(lines); err != nil {
			return nil, err
		}
		if line == "" || strings.HasPrefix(line, shallowStart) {
			visitNamed(last, visit)
			return capabilities, skipToFlush(lines, line)
		}
	}
}

func visitNamed(ref Ref, visit func(Ref)) {
	if ref.Name != "" && !strings.HasSuffix(ref.Name, peeledEnd) {
		visit(ref)
	}
}

// firstLine returns the line of the first ref, with the capabilities. Over HTTP the
// name of the service comes before it.
func firstLine(lines *pktline.Scanner) (string, error) {
	if !lines.Scan() {
		if err := lines.Err(); err != nil {
			return "", err
		}
		return "", packp.ErrEmptyInput
	}
	line := string(lines.Bytes())
	if strings.HasPrefix(line, "#") {
		var err error
		if line, err = nextLine(lines); err == nil && line == "" {
			line, err = nextLine(lines)
		}
		if err != nil {
			return "", err
		}
	}
	if line = strings.TrimSuffix(line, "\n"); line == "" {
		return "", transport.ErrEmptyRemoteRepository
	}
	return line, nil
}

// nextLine returns the next line without its end; "" is the end of a list.
func nextLine(lines *pktline.Scanner) (string, error) {
	if !lines.Scan() {
		if err := lines.Err(); err != nil {
			return "", err
		}
		return "", fmt.Errorf("read the refs: %w", io.ErrUnexpectedEOF)
	}
	return strings.TrimSuffix(string(lines.Bytes()), "\n"), nil
}

func skipToFlush(lines *pktline.Scanner, line string) (err error) {
	for line != "" && err == nil {
		line, err = nextLine(lines)
	}
	return err
}

func parseRef(line string) (Ref, error) {
	hash, name, ok := strings.Cut(line, " ")
	if !ok || name == "" || strings.Contains(name, " ") || len(hash) != 2*len(plumbing.Hash{}) {
		return Ref{}, errors.New("read the refs: a line is not \"HASH NAME\"")
	}
	ref := Ref{Name: name}
	if _, err := hex.Decode(ref.Hash[:], []byte(hash)); err != nil {
		return Ref{}, fmt.Errorf("read the refs: %w", err)
	}
	return ref, nil
}

// objectFormat is the capability that names the hash function of a repository.
const objectFormat = capability.Capability("object-format")

// checkObjectFormat refuses a repository whose hashes are not SHA-1.
func checkObjectFormat(capabilities *capability.List) error {
	for _, format := range capabilities.Get(objectFormat) {
		if format != "sha1" {
			return ObjectFormatError(format)
		}
	}
	return nil
}

// ObjectFormatError returns the error of a repository in another object format than
// SHA-1, the only one that Kargo reads.
func ObjectFormatError(format string) error {
	return &kargo.Error{Fault: kargo.Unavailable,
		Hint: "make the repository in git's usual format: git init --object-format=sha1",
		Err:  fmt.Errorf("the repository has the object format %s, and Kargo reads sha1 only", kargo.PrintableLine(format))}
}
