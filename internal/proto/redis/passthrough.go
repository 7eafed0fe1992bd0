package redis

import (
	"bytes"
	"slices"

	"nuthatch/internal/mbuf"
	"nuthatch/internal/msg"
)

// auth_mode: passthrough. The servers decide who may log in, and about every request. For what
// the proxy answers itself a server is asked for a stand-in: the same command, with words that
// it cannot carry out. Redis judges whether a user may send a command before it looks at what
// the words mean, but after it has looked whether there is such a command, with so many words:
//
//	CLIENT KILL ID 7      ─►  CLIENT KILL " "   ◄─  a reply, or a fault of these words: it may
//	                                            ◄─  any other error: it may not

// A passer passes logins on.
type passer struct {
	*rules
	words *wordReader // the protocol's
}

// Passes implements proxy.Passer.
func (a *passer) Passes() bool { return a.passes }

// Credentials implements proxy.Passer.
func (a *passer) Credentials(req *msg.Request, s *msg.Session) *msg.Credentials {
	if req.Treatment != msg.Local || req.Error != "" || s.Bars&msg.Collecting != 0 {
		return nil
	}
	n := len(req.Args)
	switch commands[req.Type].answer {
	case answerAuth:
		switch n {
		case 2:
			return msg.NewCredentials(false, nil, a.words.word(req, 1))
		case 3:
			return a.credentials(req, 1)
		}
	case answerHello:
		if _, fault := a.helloVersion(req); fault != "" {
			return nil
		}
		if g, fault := greetingOf(req, a.words); fault == "" && g.user > 0 {
			return a.credentials(req, g.user)
		}
	default:
	}
	return nil
}

// credentials are the i-th word of a request and the next.
func (a *passer) credentials(req *msg.Request, i int) *msg.Credentials {
	name := append([]byte(nil), a.words.word(req, i)...)
	return msg.NewCredentials(true, name, a.words.word(req, i+1))
}

// AppendLogin implements proxy.Passer.
func (a *passer) AppendLogin(c *msg.Credentials, p *mbuf.Pool, out *mbuf.Chain) {
	writer{pool: p, out: out}.request(append([]string{"AUTH"}, loginOf(c).words...)...)
}

// standIn is a word that stands in for those that say what a command is to do: it is no
// number, no option and no name of a client.
const standIn = " "

// AppendStandIn implements proxy.Passer.
func (a *passer) AppendStandIn(req *msg.Request, s *msg.Session, p *mbuf.Pool, out *mbuf.Chain) (needed bool) {
	cmd := &commands[req.Type]
	if req.Error != "" || cmd.reason != "" || cmd.id == unknown {
		return false
	}
	w := writer{pool: p, out: out}
	switch cmd.answer {
	case answerAuth, answerReset, answerQuit, answerMulti, answerExec, answerDiscard, answerUnwatch, answerHelp, answerCluster, answerHTTP:
		return false
	case answerPing:
		if s.Bars&msg.Listening != 0 { // it has asked for channels already
			return false
		}
	case answerHello:
		if _, fault := a.helloVersion(req); fault != "" {
			return false
		}
		if _, fault := greetingOf(req, a.words); fault != "" {
			return false
		}
		if s.Lane.IsRESP3() {
			w.request("HELLO", "3")
		} else {
			w.request("HELLO", "2")
		}
		return true
	case answerCommand:
		w.request("COMMAND", "COUNT")
		return true
	case answerNone:
		if cmd.treatment == msg.Local { // a container without a subcommand
			return false
		}
	default:
	}
	words := cmd.path()
	least := cmd.arity
	if least < 0 {
		least = max(-least, len(words)+1)
	}
	for len(words) < least {
		words = append(words, standIn)
	}
	w.request(words...)
	return true
}

// AppendAdminStandIn implements proxy.Passer. Redis has CLIENT PAUSE in the category @connection,
// too, since it is about the clients of one server there.
func (a *passer) AppendAdminStandIn(req *msg.Request, p *mbuf.Pool, out *mbuf.Chain) {
	if commands[req.Type].answer == answerPause {
		writer{pool: p, out: out}.request("CONFIG", "SET", standIn, standIn)
	}
}

// path are the words that name the command.
func (c *command) path() []string {
	if c.sub == "" {
		return []string{c.name}
	}
	return []string{c.name[:len(c.name)-len(c.sub)-1], c.sub}
}

// faultsOfWords are the errors, without "-ERR " and in lower case, with which servers refuse the
// words of stand-ins, and not their client. They are those of Redis since 6.0, Valkey and the
// like.
var faultsOfWords = []string{
	"syntax error",
	"value is not an integer or out of range",
	"value is out of range",
	"timeout is not an integer or out of range",   // CLIENT PAUSE
	"count should be greater than or equal to -1", // SLOWLOG GET
	"no such client",                              // CLIENT KILL
	"client names cannot contain spaces",          // CLIENT SETNAME
	"client caching can be called only when the client is in tracking mode",
	"unrecognized option '" + standIn + "'", // CLIENT SETINFO
	"unknown category '" + standIn + "'",    // ACL CAT
	"user '" + standIn + "' not found",      // ACL DRYRUN
	"unknown option or number of arguments for config set - '" + standIn + "'",
	"unsupported config parameter", // CONFIG SET before Redis 7
	"invalid db index",             // SELECT
	"db index is out of range",
}

// Forbids implements proxy.Passer. What is no error that is known to be about the words says
// that the client may not: a server may refuse it in words that are not Redis's.
func (a *passer) Forbids(reply []byte) bool {
	if len(reply) == 0 {
		return true
	}
	if reply[0] != '-' && reply[0] != '!' {
		return false
	}
	text, isPlain := bytes.CutPrefix(reply[:min(len(reply), maxFaultOfWords)], []byte("-ERR "))
	if !isPlain {
		return true
	}
	text = bytes.ToLower(text)
	return !slices.ContainsFunc(faultsOfWords, func(fault string) bool { return bytes.HasPrefix(text, []byte(fault)) })
}

// maxFaultOfWords is how many bytes of an error are compared.
const maxFaultOfWords = 128

// AppendProbe implements proxy.Passer.
func (a *passer) AppendProbe(p *mbuf.Pool, out *mbuf.Chain) {
	writer{pool: p, out: out}.request("PING")
}

// Opens implements proxy.Passer. Redis says that a login is missing before it says anything
// else of a request: so a user who may not use PING is logged in. Other errors show nothing.
func (a *passer) Opens(reply []byte) bool {
	return bytes.HasPrefix(reply, []byte("+PONG")) || bytes.HasPrefix(reply, []byte("-NOPERM")) && bytes.Contains(reply, []byte("has no permissions to run the 'ping' command"))
}

// IsBound implements proxy.Passer.
func (a *passer) IsBound(err *msg.ProtocolError) bool {
	return err == errCountBeforeAuth || err == errLengthBeforeAuth
}

// Fits implements proxy.Passer.
func (a *passer) Fits(c *msg.Credentials) bool {
	name, password := c.Reveal()
	return max(len(name), len(password)) <= maxBulkBeforeAuth
}

// ForStrangers implements proxy.Passer.
func (a *passer) ForStrangers(req *msg.Request, s *msg.Session) bool {
	switch commands[req.Type].answer {
	case answerAuth, answerReset, answerQuit, answerHTTP:
		return true
	case answerHello:
		return a.Credentials(req, s) != nil
	default:
		return false
	}
}

// Refusal implements proxy.Passer.
func (a *passer) Refusal(reply []byte) (wants, ends bool) {
	return bytes.HasPrefix(reply, []byte("-NOAUTH")), bytes.HasPrefix(reply, []byte("-ERR Protocol error"))
}

// Refuses implements proxy.Passer.
func (a *passer) Refuses(reply []byte) bool { return !bytes.HasPrefix(reply, []byte("+OK")) }

// Enter implements proxy.Passer.
func (a *passer) Enter(c *msg.Credentials) (user uint32, ok bool) {
	return a.logins.enter(c, a.maxUsers)
}

// Hold implements proxy.Passer.
func (a *passer) Hold(user uint32) { a.logins.hold(user) }

// Release implements proxy.Passer.
func (a *passer) Release(user uint32) { a.logins.release(user) }

// ErrorPrefix implements proxy.Codec. Where the servers decide who may log in, a client that
// they refuse says nothing of the server.
func (p *Protocol) ErrorPrefix(r msg.Reply, buf []byte) (prefix []byte, refuses msg.Reason) {
	prefix, refuses = p.verdicts.ErrorPrefix(r, buf)
	if refuses == msg.LoginRefused && p.passes {
		refuses = msg.OK
	}
	return prefix, refuses
}
