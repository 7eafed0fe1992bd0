package ctl

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"syscall"

	"nuthatch/internal/version"
)

// whichListener says how the proxy's admin listener is named.
const whichListener = "-c names the configuration file of the proxy, -a its admin listener"

// infoPath is where a nuthatch says who it is, and noSuchPath how its error begins where nothing is.
const infoPath, noSuchPath = "/api/v1/info", "no such path"

// noAnswer says what it means that a request got no answer, and what to do.
func (c *Client) noAnswer(err error) error {
	if outer, ok := errors.AsType[*url.Error](err); ok {
		err = outer.Err
	}
	at := c.target.Address
	if why := c.target.Security.refusedBy(err); why != "" {
		return fmt.Errorf("the proxy at %s %s (%w)", at, why, err)
	}
	why, do := "", whichListener
	_, isName := errors.AsType[*net.DNSError](err)
	_, isTLS := errors.AsType[tls.RecordHeaderError](err)
	timeout, ok := errors.AsType[net.Error](err)
	op, isOp := errors.AsType[*net.OpError](err)
	file, fileErr := os.Stat(at)
	switch {
	case errors.Is(err, context.Canceled):
		return fmt.Errorf("%w: %w", ErrNoAnswer, err)
	case errors.Is(err, syscall.ECONNREFUSED) && strings.HasPrefix(at, "/") && fileErr == nil && file.Mode().Type() != os.ModeSocket:
		why = at + " is no socket"
	case errors.Is(err, syscall.ECONNREFUSED):
		why = "nothing listens at " + at + "; is the proxy running?"
	case errors.Is(err, syscall.ENOENT):
		why = "there is no socket " + at + "; is the proxy running?"
	case errors.Is(err, os.ErrPermission):
		why, do = "this user may not connect to "+at, "run it as the user of the proxy, or as root"
	case isName:
		why = "the host of " + at + " is not found"
	case isTLS || strings.Contains(err.Error(), "HTTP response to HTTPS client"):
		why, do = at+" speaks no TLS", "leave out --cacert, and write http:// and not https://"
	case ok && timeout.Timeout() && isOp && op.Op == "dial":
		why = "the host of " + at + " does not answer: is it the right one, and does a firewall let this through?"
	case ok && timeout.Timeout():
		why, do = at+" takes the connection and does not answer", "does the proxy hang, is it stopped, or is this no nuthatch? "+whichListener
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET), strings.Contains(err.Error(), "malformed HTTP"):
		why = at + " answers, and is no admin listener: is it the port of a pool, of a server, or that of the statistics?"
	default:
		return fmt.Errorf("%w at %s: %w", ErrNoAnswer, at, err)
	}
	return fmt.Errorf("%w: %s %s (%w)", ErrNoAnswer, closed(why), do, err)
}

// errNoNuthatch means that another program answers.
var errNoNuthatch = errors.New("which does not look like a nuthatch")

// noNuthatch says that what answers so is another program.
func (c *Client) noNuthatch(answer string) error {
	return fmt.Errorf("%w: %s from %s, %w; %s", ErrNoAnswer, answer, c.base, errNoNuthatch, whichListener)
}

// Read reads an answer into body, which is empty. Another program's may be JSON, too, and look like
// one that has nothing: one that lacks what every nuthatch says counts if a nuthatch is there.
func (c *Client) Read(ctx context.Context, text []byte, body any) error {
	always, err := json.Marshal(body)
	if err != nil {
		return err
	}
	fault := json.Unmarshal(text, body)
	if fault == nil && hasKeysOf(text, always) {
		return nil
	}
	if _, err := c.Identify(ctx); errors.Is(err, errNoNuthatch) {
		return err
	}
	if fault != nil {
		return fmt.Errorf("%w: %w", ErrNoAnswer, fault)
	}
	return nil
}

// hasKeysOf reports whether an object has all keys of another one, which has some.
func hasKeysOf(text, other []byte) bool {
	var has, wants map[string]json.RawMessage
	if json.Unmarshal(text, &has) != nil || json.Unmarshal(other, &wants) != nil {
		return false
	}
	for key := range wants {
		if _, there := has[key]; !there {
			return false
		}
	}
	return len(wants) > 0
}

// isOther reports whether a refusal comes from another program: most of nuthatch's say that there
// is no such pool, server or path, and every nuthatch says who it is.
func (c *Client) isOther(ctx context.Context, refusal *RefusedError, path string) bool {
	if refusal.Status != http.StatusNotFound || c.known != nil || strings.HasPrefix(refusal.Fault.Error, "no such ") {
		return false
	}
	if path == infoPath {
		return true
	}
	_, err := c.Identify(ctx)
	return errors.Is(err, ErrNoAnswer)
}

// closed is a text that another one can follow.
func closed(text string) string {
	if strings.HasSuffix(text, "?") {
		return text
	}
	return text + ";"
}

// advise says what to do about a refusal that the proxy itself can say less about.
func (c *Client) advise(refusal *RefusedError, method, path string) {
	if len(refusal.Reasons) > 0 {
		return
	}
	path, _, _ = strings.Cut(path, "?")
	switch {
	case refusal.Status == http.StatusUnauthorized && c.target.Token == "":
		refusal.Fault.Error = "the proxy at " + c.target.Address + " asks for a token: say -T FILE, $NUTHATCH_ADMIN_TOKEN, or -c with the proxy's configuration file"
	case refusal.Status == http.StatusUnauthorized:
		refusal.Fault.Error = "the proxy at " + c.target.Address + " does not accept this token: is it that of another proxy, or an old one? -T FILE and $NUTHATCH_ADMIN_TOKEN go before that of the configuration file"
	case refusal.Status == http.StatusNotFound && strings.HasPrefix(refusal.Fault.Error, noSuchPath):
		refusal.Fault.Error = "the proxy at " + c.target.Address + " does not know " + method + " " + path + ": it runs another version than this one (" + version.Version +
			"); 'nuthatch ctl info' shows which. Upgrade it, or use its own program"
	}
}
