package history

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"kargo"
)

// journal is a file to which entries are appended, one a line: a checksum in
// hexadecimal, a blank, JSON. It is read with plain reads, entry by entry, so
// that damage costs the entries it hits and never the process.
//
// What cannot be written is pending: it is kept in memory as if it stood at the
// end of the file, and goes there as soon as that is possible again.
type journal struct {
	path     string
	lock     *os.File // nil where no lock file can be made
	file     file     // nil while there is none
	writable bool
	end      int64  // where the entries on the disk end
	sum      uint32 // the checksum of everything before end
	torn     bool   // something that is no whole entry stands behind end
	pending  []byte // the entries behind end
	written  int    // how much of pending is in the file, and may be lost with the power
	overflow bool   // an entry found no room in pending
	trouble  error  // of the last attempt to write; nil if it succeeded
}

// file is what is needed of an open file.
type file interface {
	io.Reader
	io.ReaderAt
	io.WriterAt
	io.Seeker
	io.Closer
	Sync() error
	Truncate(size int64) error
	Stat() (fs.FileInfo, error)
}

// location is where an entry stands, its line end included.
type location struct {
	offset int64
	length int
}

const (
	// maxPending bounds what is kept in memory while the disk takes nothing.
	maxPending = 16 << 20
	// maxEntry bounds what is taken for one entry.
	maxEntry = 256 << 20
	// lockPatience is how long another process may take to end.
	lockPatience = time.Second
)

var (
	checksums    = crc32.MakeTable(crc32.Castagnoli)
	errLocked    = errors.New("another process has it")
	errDamaged   = errors.New("the entry is damaged")
	errGone      = errors.New("the file was removed or replaced")
	errNoJournal = errors.New("there is no file yet")
)

// reading says how a file is read when it is opened.
type reading struct {
	// known is the part of the file that need not be read entry by entry, if it is still
	// what it was.
	known covered
	// begin is told whether it is, and that the entries behind it follow. Else all follow.
	begin func(known bool)
	// use takes each sound entry, and may refuse it as damaged.
	use func(at location, data []byte) error
}

// openJournal opens a file and hands on its entries. It returns how many entries are
// damaged. A file that is not there or that cannot be written is no error; one that
// cannot be read is.
func openJournal(path string, reading reading) (j *journal, damaged int, err error) {
	j = &journal{path: path}
	if j.lock, err = lockFile(path + ".lock"); errors.Is(err, errLocked) {
		return nil, 0, err
	}
	if err := j.open(); err != nil {
		j.close()
		return nil, 0, err
	}
	if j.file == nil {
		return j, 0, nil
	}
	known := j.startsWith(reading.known)
	reading.begin(known)
	return j, j.scan(reading.use), nil
}

// startsWith reports whether the file begins with a part that is known, and if so goes to
// its end. It goes to the beginning of the file otherwise.
func (j *journal) startsWith(part covered) bool {
	sum := crc32.New(checksums)
	if _, err := io.CopyN(sum, j.file, part.Bytes); part.Bytes > 0 && err == nil && sum.Sum32() == part.Sum {
		j.end, j.sum = part.Bytes, part.Sum
		return true
	}
	if _, err := j.file.Seek(0, io.SeekStart); err != nil {
		j.trouble = err
	}
	return false
}

// lockFile creates and locks a file that keeps other processes away.
func lockFile(path string) (*os.File, error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	for deadline := time.Now().Add(lockPatience); ; time.Sleep(10 * time.Millisecond) {
		err = syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return file, nil
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) || time.Now().After(deadline) {
			file.Close()
			if errors.Is(err, syscall.EWOULDBLOCK) {
				err = errLocked
			}
			return nil, err
		}
	}
}

// open opens the file for writing, or else for reading.
func (j *journal) open() error {
	opened, err := os.OpenFile(j.path, os.O_RDWR, 0)
	j.writable, j.trouble = err == nil, err
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		if opened, err = os.Open(j.path); err != nil {
			return err
		}
	}
	j.file = opened
	return nil
}

// scan reads the file from where it is, sets its end, and returns how many
// entries are damaged. An entry that was cut off at the end is one, and so are an
// empty file, which a journal never is, and whatever cannot be read.
func (j *journal) scan(use func(at location, data []byte) error) (damaged int) {
	reader := bufio.NewReaderSize(j.file, 1<<20)
	for {
		line, length, err := readLine(reader)
		if err != nil {
			j.torn = length > 0
			if j.torn || err != io.EOF || j.end == 0 {
				damaged++
			}
			return damaged
		}
		data, broken := decode(line)
		if broken == nil {
			broken = use(location{j.end, length}, data)
		}
		if broken != nil {
			damaged++
		}
		j.end += int64(length)
		j.sum = crc32.Update(j.sum, checksums, line)
	}
}

// readLine reads up to the next line end. Of a line that is longer than any
// entry it returns the length alone.
func readLine(reader *bufio.Reader) (line []byte, length int, err error) {
	for {
		part, err := reader.ReadSlice('\n')
		length += len(part)
		if length <= maxEntry {
			line = append(line, part...)
		} else {
			line = nil
		}
		if err != bufio.ErrBufferFull {
			return line, length, err
		}
	}
}

func encode(data []byte) []byte {
	line := fmt.Appendf(nil, "%08x ", crc32.Checksum(data, checksums))
	return append(append(line, data...), '\n')
}

// decode returns the JSON of a line.
func decode(line []byte) ([]byte, error) {
	sum, data, found := bytes.Cut(line, []byte(" "))
	want, err := strconv.ParseUint(string(sum), 16, 32)
	data, whole := bytes.CutSuffix(data, []byte("\n"))
	if !found || err != nil || !whole || crc32.Checksum(data, checksums) != uint32(want) {
		return nil, errDamaged
	}
	return data, nil
}

// read returns the JSON of an entry.
func (j *journal) read(at location) ([]byte, error) {
	line := make([]byte, at.length)
	if at.offset >= j.end {
		copy(line, j.pending[at.offset-j.end:])
	} else if _, err := j.file.ReadAt(line, at.offset); err != nil {
		return nil, err
	}
	return decode(line)
}

// append adds an entry, and writes it if the disk takes it. One that need not be durable
// is lost with the power, until a later one is written that must be; it is not lost with
// the process. append reports false where there is no room for it in memory either.
func (j *journal) append(data []byte, durable bool) (at location, kept bool) {
	line := encode(data)
	if j.written > 0 && len(j.pending)+len(line) > maxPending && j.inPlace() == nil {
		j.trouble = j.flush(true)
	}
	if len(j.pending) > 0 && len(j.pending)+len(line) > maxPending {
		j.overflow = true
		return location{}, false
	}
	at = location{j.end + int64(len(j.pending)), len(line)}
	j.pending = append(j.pending, line...)
	if j.inPlace() == nil { // else the file has to be rewritten first
		j.trouble = j.flush(durable)
	}
	return at, true
}

// flush writes what is pending to the file, which is in its place. It stays pending until
// it is durable.
func (j *journal) flush(durable bool) error {
	if !j.writable {
		file, err := os.OpenFile(j.path, os.O_RDWR, 0)
		if err != nil {
			return err
		}
		j.file.Close()
		j.file, j.writable = file, true
	}
	if j.torn {
		if err := j.file.Truncate(j.end); err != nil {
			return err
		}
		j.torn = false
	}
	_, err := j.file.WriteAt(j.pending[j.written:], j.end+int64(j.written))
	if err == nil && durable {
		err = j.file.Sync()
	}
	if err != nil {
		j.written = 0
		j.torn = j.file.Truncate(j.end) != nil // half an entry would be taken for damage
		return err
	}
	if !durable {
		j.written = len(j.pending)
		return nil
	}
	j.end += int64(len(j.pending))
	j.sum = crc32.Update(j.sum, checksums, j.pending)
	j.pending, j.written = nil, 0
	return nil
}

// inPlace returns an error unless the open file is the one that has the name.
func (j *journal) inPlace() error {
	if j.file == nil {
		return errNoJournal
	}
	named, err := os.Stat(j.path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	opened, err2 := j.file.Stat()
	if err != nil || err2 != nil || !os.SameFile(named, opened) {
		return fmt.Errorf("%s: %w", j.path, errGone)
	}
	return nil
}

// rewrite makes a new file of the entries that fill adds, and puts it in the
// place of the old one in one step. aside, where it is not empty, is the name
// that the old file gets.
func (j *journal) rewrite(aside string, fill func(add func(data []byte) (location, error)) error) error {
	if err := os.MkdirAll(filepath.Dir(j.path), 0o700); err != nil {
		return err
	}
	next := j.path + ".new"
	file, err := os.OpenFile(next, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	out, end, sum := bufio.NewWriterSize(file, 1<<16), int64(0), uint32(0)
	err = fill(func(data []byte) (location, error) {
		line := encode(data)
		at := location{end, len(line)}
		end += int64(len(line))
		sum = crc32.Update(sum, checksums, line)
		_, err := out.Write(line)
		return at, err
	})
	if err == nil {
		err = out.Flush()
	}
	if err == nil {
		err = file.Sync()
	}
	if err == nil && aside != "" {
		err = os.Link(j.path, aside)
	}
	if err == nil {
		err = os.Rename(next, j.path)
	}
	if err != nil {
		return errors.Join(err, file.Close(), os.Remove(next))
	}
	syncDirectory(filepath.Dir(j.path))
	if j.file != nil {
		j.file.Close()
	}
	j.file, j.writable, j.torn, j.end, j.sum, j.pending, j.overflow, j.trouble = file, true, false, end, sum, nil, false, nil
	j.written = 0
	return nil
}

// syncDirectory makes a new name durable. Where that is not possible the name
// is there all the same, and lost at most with the power.
func syncDirectory(path string) {
	if directory, err := os.Open(path); err == nil {
		_ = directory.Sync()
		directory.Close()
	}
}

// close writes what is pending, if it can, and lets go of the file.
func (j *journal) close() error {
	var err error
	if len(j.pending) > 0 && j.inPlace() == nil {
		err = j.flush(true)
	}
	if j.file != nil {
		err = errors.Join(err, j.file.Close())
	}
	if j.lock != nil {
		err = errors.Join(err, j.lock.Close())
	}
	return err
}

// busy returns the error of a history that another process has.
func busy(path string) error {
	return &kargo.Error{
		Fault: kargo.Unavailable, Where: kargo.Place{File: path}, Err: fmt.Errorf("open history: %w", errLocked),
		Hint: "is `kargo serve` running with the same data directory?",
	}
}
