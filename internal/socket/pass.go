package socket

import (
	"errors"
	"io"
	"net"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// passedAtOnce is how many files one message carries; the kernel takes 253.
const passedAtOnce = 64

// Pair returns the two ends of a unix connection, one of which may be passed to another
// process.
func Pair(name string) (a, b *os.File, err error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, os.NewSyscallError("socketpair", err)
	}
	return os.NewFile(uintptr(fds[0]), name), os.NewFile(uintptr(fds[1]), name), nil
}

// MemoryFile returns a file with that content that no file system has, to be passed to
// another process.
func MemoryFile(name string, content []byte) (*os.File, error) {
	fd, err := unix.MemfdCreate(name, unix.MFD_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("memfd_create", err)
	}
	f := os.NewFile(uintptr(fd), name)
	if _, err := f.Write(content); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// Pass passes copies of files to the process at the other end of a unix connection.
func Pass(conn *net.UnixConn, files []*os.File) error {
	for len(files) > 0 {
		n := min(len(files), passedAtOnce)
		fds := make([]int, n)
		for i, f := range files[:n] {
			fds[i] = int(f.Fd())
		}
		if _, _, err := conn.WriteMsgUnix([]byte{'\n'}, unix.UnixRights(fds...), nil); err != nil {
			return err
		}
		files = files[n:]
	}
	return nil
}

// ReceivePassed returns n files that the process at the other end passes, or an error
// and none.
func ReceivePassed(conn *net.UnixConn, n int) ([]*os.File, error) {
	var files []*os.File
	oob := make([]byte, unix.CmsgSpace(4*passedAtOnce))
	for len(files) < n {
		fds, err := receive(conn, oob)
		for _, fd := range fds {
			files = append(files, os.NewFile(uintptr(fd), "passed"))
		}
		if err != nil {
			for _, f := range files {
				f.Close()
			}
			return nil, err
		}
	}
	return files, nil
}

// receive returns what one message passes. oob is scratch.
func receive(conn *net.UnixConn, oob []byte) ([]int, error) {
	_, size, _, _, err := conn.ReadMsgUnix(make([]byte, 1), oob)
	switch {
	case err != nil:
		return nil, err
	case size == 0:
		return nil, io.ErrUnexpectedEOF
	}
	messages, err := unix.ParseSocketControlMessage(oob[:size])
	if err != nil {
		return nil, err
	}
	var fds []int
	for i := range messages {
		got, err := unix.ParseUnixRights(&messages[i])
		if err != nil {
			return fds, err
		}
		fds = append(fds, got...)
	}
	return fds, nil
}

// FileOf returns a copy of a socket of package net for another process. The file of
// package net itself becomes blocking when another process is started with it, and so do
// all copies. A waiting Accept could then never be interrupted.
func FileOf(c syscall.Conn) (f *os.File, err error) {
	controlled := control(c, func(fd int) { f, err = File(fd) })
	return f, errors.Join(controlled, err)
}

// PeerProcess is the user and the process at the other end of a unix connection.
func PeerProcess(c syscall.Conn) (uid uint32, pid int32, err error) {
	var cred *unix.Ucred
	controlled := control(c, func(fd int) { cred, err = unix.GetsockoptUcred(fd, unix.SOL_SOCKET, unix.SO_PEERCRED) })
	if err := errors.Join(controlled, err); err != nil {
		return 0, 0, err
	}
	return cred.Uid, cred.Pid, nil
}

// control calls f with the socket's number.
func control(c syscall.Conn, f func(fd int)) error {
	raw, err := c.SyscallConn()
	if err != nil {
		return err
	}
	return raw.Control(func(fd uintptr) { f(int(fd)) })
}
