// Package regularfile reads the files that a configuration names: certificates, secrets, users.
// They are read while requests are served, and a program cannot end while it waits for a file. So
// whatever may block (a named pipe, a terminal) is refused, and so is what is too large.
package regularfile

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"
)

// ErrKind means that there is something else than a regular file, or a link to one.
var ErrKind = errors.New("it is no regular file")

// Open opens the regular file at path for reading. It does not wait.
func Open(path string) (*os.File, error) {
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() { // some devices do something when they are opened
		return nil, refused(path, info, nil)
	}
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() { // it has been replaced meanwhile
		_ = f.Close() // nothing was written
		return nil, refused(path, info, err)
	}
	return f, nil
}

func refused(path string, info fs.FileInfo, err error) error {
	switch {
	case err != nil:
		return err
	case info.IsDir():
		err = syscall.EISDIR
	default:
		err = ErrKind
	}
	return &fs.PathError{Op: "read", Path: path, Err: err}
}

// Read returns the content of the regular file at path, which has most bytes at most.
func Read(path string, most int) ([]byte, error) {
	f, err := Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, int64(most)+1))
	if err != nil {
		return nil, err
	}
	if len(text) > most {
		return nil, &fs.PathError{Op: "read", Path: path, Err: fmt.Errorf("it is larger than %d bytes", most)}
	}
	return text, nil
}
