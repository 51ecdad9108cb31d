package wire

import (
	"bytes"
	"fmt"
	"io"
	"sync"

	"kargo"
)

// limitedReader returns an Invalid error after a number of bytes.
type limitedReader struct {
	from        io.Reader
	left, limit int64
}

func limited(from io.Reader, limit int64) io.Reader {
	return &limitedReader{from: from, left: limit, limit: limit}
}

func (l *limitedReader) Read(into []byte) (int, error) {
	if l.left < 0 {
		return 0, l.tooMuch()
	}
	// Reading one byte more than allowed distinguishes an answer at the limit from
	// a longer one.
	n, err := l.from.Read(into[:min(int64(len(into)), l.left+1)])
	l.left -= int64(n)
	if l.left < 0 {
		return n, l.tooMuch()
	}
	return n, err
}

func (l *limitedReader) tooMuch() error {
	return &kargo.Error{Fault: kargo.Invalid, Where: kargo.Place{File: "repository"},
		Hint: "keep data out of the workspace, or raise the limit",
		Err:  fmt.Errorf("the commit holds more to download than %d bytes", l.limit)}
}

// headBuffer keeps the first bytes of what another goroutine writes to it.
type headBuffer struct {
	limit int
	mu    sync.Mutex
	buf   bytes.Buffer
}

func (b *headBuffer) Write(data []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.buf.Write(data[:min(len(data), b.limit-b.buf.Len())])
	return len(data), nil
}

func (b *headBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}
