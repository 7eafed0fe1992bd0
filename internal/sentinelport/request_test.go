package sentinelport

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"reflect"
	"testing"
	"testing/iotest"
)

// TestNumCommands: COMMAND COUNT counts all commands.
func TestNumCommands(t *testing.T) {
	if numCommands != len(commands) {
		t.Errorf("%d commands, and COMMAND COUNT says %d", len(commands), numCommands)
	}
}

// readAll reads requests to the end, or to a fault.
func readAll(r io.Reader) (all [][][]byte, err error) {
	in := bufio.NewReaderSize(r, readSize)
	for {
		words, err := readRequest(in)
		if err != nil {
			return all, err
		}
		all = append(all, words)
	}
}

// FuzzRequest: requests are the same wherever their bytes are split, and bounded.
func FuzzRequest(f *testing.F) {
	for _, text := range []string{
		"PING\r\n", "*1\r\n$4\r\nPING\r\n*2\r\n$4\r\nPING\r\n$1\r\na\r\n", "\r\n", "*0\r\n", "*-1\r\n", "*65\r\n", "*1\r\n$-1\r\n", "*1\r\n:1\r\n", "*x\r\n",
		"*1\r\n$99999\r\n", "a  b\nc", "*2\r\n$3\r\nabc",
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		whole, end := readAll(bytes.NewReader(text))
		split, splitEnd := readAll(iotest.OneByteReader(bytes.NewReader(text)))
		if !reflect.DeepEqual(whole, split) || !errors.Is(splitEnd, end) {
			t.Fatalf("%q is read as %q (%v), and byte by byte as %q (%v)", text, whole, end, split, splitEnd)
		}
		for _, words := range whole {
			size := 0
			for _, w := range words {
				size += len(w)
			}
			if len(words) > maxWords || size > maxBytes {
				t.Fatalf("a request of %d words with %d bytes", len(words), size)
			}
		}
	})
}
