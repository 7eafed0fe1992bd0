package sentinelport

import (
	"bufio"
	"errors"
	"io"
	"strconv"
	"strings"
)

const (
	// readSize is the room for what a client has sent. A line is shorter.
	readSize = 1024
	// maxWords is how many words a request has at the most, and maxBytes how many bytes they
	// have together.
	maxWords, maxBytes = 64, 16 << 10
)

// errProtocol means that what a client sends is no request, or is too large.
var errProtocol = errors.New("Protocol error: expected a request of a few words") //nolint:staticcheck // clients read it so

// readRequest reads a request in RESP, or a line of words. It has no words if the line is empty.
func readRequest(in *bufio.Reader) (words [][]byte, err error) {
	line, err := readLine(in)
	if err != nil {
		return nil, err
	}
	if !strings.HasPrefix(line, "*") {
		for word := range strings.FieldsSeq(line) {
			words = append(words, []byte(word))
		}
		if len(words) > maxWords {
			return nil, errProtocol
		}
		return words, nil
	}
	n, err := strconv.Atoi(line[1:])
	if err != nil || n > maxWords {
		return nil, errProtocol
	}
	left := maxBytes
	for range n {
		line, err := readLine(in)
		if err != nil {
			return nil, err
		}
		size, ok := strings.CutPrefix(line, "$")
		length, bad := strconv.Atoi(size)
		if !ok || bad != nil || length < 0 || length > left {
			return nil, errProtocol
		}
		left -= length
		word := make([]byte, length+2)
		if _, err := io.ReadFull(in, word); err != nil {
			return nil, err
		}
		words = append(words, word[:length])
	}
	return words, nil
}

// readLine reads a line, without its end.
func readLine(in *bufio.Reader) (string, error) {
	line, err := in.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) {
		return "", errProtocol
	}
	if err != nil {
		return "", err
	}
	return strings.TrimRight(string(line), "\r\n"), nil
}
