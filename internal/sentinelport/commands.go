package sentinelport

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

// redisVersion is the release whose answers these are.
const redisVersion = "7.0.15"

// A command is one that is answered.
type command struct {
	// arity is how many words a request has, as Redis counts: less than zero is at the least.
	arity int
	// early: it may come before a login. whileListening: it may come while a client of RESP2
	// listens to channels.
	early, whileListening bool
	// run appends the answer.
	run func(*conn, *scope, []string)
}

// commands are those that are answered, by their names.
var commands = map[string]command{
	"auth":         {arity: -2, early: true, run: (*conn).auth},
	"client":       {arity: -2, run: (*conn).client},
	"command":      {arity: -1, run: (*conn).command},
	"hello":        {arity: -1, early: true, run: (*conn).hello},
	"info":         {arity: -1, run: (*conn).info},
	"ping":         {arity: -1, whileListening: true, run: (*conn).ping},
	"psubscribe":   {arity: -2, whileListening: true, run: subscribing("psubscribe", (*conn).patternList)},
	"punsubscribe": {arity: -1, whileListening: true, run: unsubscribing("punsubscribe", (*conn).patternList)},
	"quit":         {arity: -1, early: true, whileListening: true, run: (*conn).quit},
	"reset":        {arity: 1, early: true, whileListening: true, run: (*conn).reset},
	"role":         {arity: 1, run: (*conn).role},
	"sentinel":     {arity: -2, run: (*conn).sentinel},
	"subscribe":    {arity: -2, whileListening: true, run: subscribing("subscribe", (*conn).channelList)},
	"unsubscribe":  {arity: -1, whileListening: true, run: unsubscribing("unsubscribe", (*conn).channelList)},
}

// command is COMMAND. Its table is empty, but for COUNT.
func (c *conn) command(_ *scope, words []string) {
	switch {
	case len(words) < 2:
		c.out.array(0)
	case strings.EqualFold(words[1], "count"):
		c.out.integer(numCommands)
	case strings.EqualFold(words[1], "docs"), strings.EqualFold(words[1], "info"), strings.EqualFold(words[1], "list"):
		c.out.array(0)
	default:
		c.unknownSub(words)
	}
}

// numCommands is how many commands there are.
const numCommands = 14

// fits reports whether a request of n words has as many as a command takes.
func fits(arity, n int) bool { return n == arity || arity < 0 && n >= -arity }

// carryOut carries a request out, and appends the answer. The caller holds the lock.
func (c *conn) carryOut(s *scope, raw [][]byte) {
	words := make([]string, len(raw))
	for i := range raw {
		words[i] = string(raw[i])
	}
	name := strings.ToLower(words[0])
	cmd, known := commands[name]
	switch {
	case !c.loggedIn && !cmd.early:
		c.out.fail("NOAUTH Authentication required.")
	case !known:
		c.unknown(words)
	case !fits(cmd.arity, len(words)):
		c.out.fail("ERR wrong number of arguments for '" + name + "' command")
	case c.listens() > 0 && !c.out.resp3 && !cmd.whileListening:
		if sub := len(words) > 1 && (name == "client" || name == "sentinel"); sub {
			name += "|" + strings.ToLower(plain(words[1]))
		}
		c.out.fail("ERR Can't execute '" + name + "': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this context")
	default:
		cmd.run(c, s, words)
	}
}

// maxShown is how much of a request an error shows.
const maxShown = 128

// plain is a client's text in a line of an error.
func plain(text string) string {
	text = text[:min(len(text), maxShown)]
	return strings.Map(func(r rune) rune {
		if r < ' ' {
			return ' '
		}
		return r
	}, text)
}

func (c *conn) unknown(words []string) {
	args := ""
	for _, w := range words[1:] {
		if len(args) < maxShown {
			args += "'" + plain(w) + "' "
		}
	}
	c.out.fail("ERR unknown command '" + plain(words[0]) + "', with args beginning with: " + args)
}

// unknownSub refuses a subcommand.
func (c *conn) unknownSub(words []string) {
	c.out.fail("ERR unknown subcommand '" + plain(words[1]) + "'. Try " + strings.ToUpper(words[0]) + " HELP.")
}

const wrongPass = "WRONGPASS invalid username-password pair or user is disabled."

// auth is AUTH password and AUTH user password.
func (c *conn) auth(s *scope, words []string) {
	user, password := "default", words[len(words)-1]
	switch {
	case len(words) > 3:
		c.out.fail("ERR syntax error")
		return
	case len(words) == 3:
		user = words[1]
	case s.Login == nil:
		c.out.fail("ERR AUTH <password> called without any password configured for the default user. Are you sure your configuration is correct?")
		return
	}
	if c.logIn(s, user, password) {
		c.out.ok()
		return
	}
	c.out.fail(wrongPass)
}

func (c *conn) logIn(s *scope, user, password string) bool {
	if s.Login == nil && user != "default" || s.Login != nil && !s.Login([]byte(user), []byte(password)) {
		c.port.count(func(n *Counts) { n.LoginsFailed++ })
		return false
	}
	c.loggedInNow()
	return true
}

// hello is HELLO. What is refused changes nothing.
func (c *conn) hello(s *scope, words []string) {
	resp3, name, login := c.out.resp3, c.name, -1
	if len(words) > 1 {
		n, err := strconv.Atoi(words[1])
		switch {
		case err != nil:
			c.out.fail("ERR Protocol version is not an integer or out of range")
			return
		case n != 2 && n != 3:
			c.out.fail("NOPROTO unsupported protocol version")
			return
		}
		resp3 = n == 3
	}
	for i := 2; i < len(words); i++ {
		switch option := strings.ToLower(words[i]); {
		case option == "auth" && i+2 < len(words):
			login, i = i+1, i+2
		case option == "setname" && i+1 < len(words):
			name, i = words[i+1], i+1
		default:
			c.out.fail("ERR Syntax error in HELLO option '" + plain(words[i]) + "'")
			return
		}
	}
	if login > 0 && !c.logIn(s, words[login], words[login+1]) {
		c.out.fail(wrongPass)
		return
	}
	if !c.loggedIn {
		c.out.fail("NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO <proto> AUTH <user> <pass> option can be used to authenticate the client and select the RESP protocol version at the same time")
		return
	}
	if !isName(name) {
		c.out.fail(badName)
		return
	}
	c.out.resp3, c.name = resp3, name
	c.out.mapping(6)
	c.out.pair("server", "redis")
	c.out.pair("version", redisVersion)
	c.out.bulk("proto")
	c.out.integer(map[bool]int64{false: 2, true: 3}[resp3])
	c.out.bulk("id")
	c.out.integer(c.id)
	c.out.pair("mode", "sentinel")
	c.out.bulk("modules")
	c.out.array(0)
}

const badName = "ERR Client names cannot contain spaces, newlines or special characters."

// isName tells whether a client may call itself so.
func isName(name string) bool {
	return len(name) <= maxChannel && !strings.ContainsFunc(name, func(r rune) bool { return r < '!' || r > '~' })
}

// client is CLIENT, as far as clients of Sentinel ask it.
func (c *conn) client(_ *scope, words []string) {
	sub := strings.ToLower(words[1])
	switch {
	case sub == "setname" && len(words) == 3 && !isName(words[2]):
		c.out.fail(badName)
	case sub == "setname" && len(words) == 3:
		c.name = words[2]
		c.out.ok()
	case sub == "setinfo" && len(words) == 4:
		c.out.ok()
	case sub == "getname" && len(words) == 2 && c.name == "":
		c.out.nothing(false)
	case sub == "getname" && len(words) == 2:
		c.out.bulk(c.name)
	case sub == "id" && len(words) == 2:
		c.out.integer(c.id)
	case slices.Contains([]string{"setname", "setinfo", "getname", "id"}, sub):
		c.out.fail("ERR wrong number of arguments for 'client|" + sub + "' command")
	default:
		c.unknownSub(words)
	}
}

func (c *conn) ping(_ *scope, words []string) {
	text := ""
	switch {
	case len(words) > 2:
		c.out.fail("ERR wrong number of arguments for 'ping' command")
		return
	case len(words) == 2:
		text = words[1]
	}
	switch {
	case c.listens() > 0 && !c.out.resp3:
		c.out.array(2)
		c.out.bulks("pong", text)
	case len(words) == 2:
		c.out.bulk(text)
	default:
		c.out.status("PONG")
	}
}

func (c *conn) quit(*scope, []string) {
	c.leaving = true
	c.out.ok()
}

// reset makes the connection as new.
func (c *conn) reset(s *scope, _ []string) {
	if c.listens() > 0 {
		c.channels, c.patterns = nil, nil
		c.port.count(func(n *Counts) { n.Subscribers-- })
	}
	c.name, c.loggedIn, c.out.resp3 = "", s.Open, false
	c.out.status("RESET")
}

func (c *conn) role(s *scope, _ []string) {
	c.out.array(2)
	c.out.bulk("sentinel")
	c.out.list([]string{s.Name})
}

// info is INFO, with the sections that are asked for.
func (c *conn) info(s *scope, words []string) {
	m, at := s.Board.Map(), c.proxy(s)
	sections := []struct{ name, text string }{
		{"Server", fmt.Sprintf("redis_version:%s\r\nredis_mode:sentinel\r\nnuthatch_version:%s\r\nprocess_id:%d\r\nrun_id:%s\r\ntcp_port:%d\r\nuptime_in_seconds:%d\r\n",
			redisVersion, s.Version, os.Getpid(), c.port.idIn(m), c.port.place.Port, int(time.Since(c.port.started).Seconds()))},
		{"Clients", fmt.Sprintf("connected_clients:%d\r\nmaxclients:%d\r\n", c.port.Counts().Clients, s.Most)},
		{"Sentinel", fmt.Sprintf("sentinel_masters:1\r\nsentinel_tilt:0\r\nsentinel_tilt_since_seconds:-1\r\nsentinel_running_scripts:0\r\n"+
			"sentinel_scripts_queue_length:0\r\nsentinel_simulate_failure_flags:0\r\nmaster0:name=%s,status=ok,address=%s,slaves=0,sentinels=%d\r\n",
			s.Name, at.Moved(), 1+len(m.Sentinels))},
	}
	var text []string
	for _, section := range sections {
		asked := func(w string) bool {
			return slices.Contains([]string{strings.ToLower(section.name), "all", "everything", "default"}, strings.ToLower(w))
		}
		if len(words) == 1 || slices.ContainsFunc(words[1:], asked) {
			text = append(text, "# "+section.name+"\r\n"+section.text)
		}
	}
	c.out.verbatim(strings.Join(text, "\r\n"))
}

func (c *conn) channelList() *[]string { return &c.channels }
func (c *conn) patternList() *[]string { return &c.patterns }

// subscribing has a client listen to channels, or to patterns.
func subscribing(kind string, listOf func(*conn) *[]string) func(*conn, *scope, []string) {
	return func(c *conn, s *scope, words []string) {
		for _, name := range words[1:] {
			list := listOf(c)
			switch {
			case slices.Contains(*list, name):
			case len(name) > maxChannel || c.listens() >= maxChannels:
				c.out.fail(fmt.Sprintf("ERR a client may listen to %d channels here, with names of at most %d bytes", maxChannels, maxChannel))
				return
			default:
				*list = append(*list, name)
				c.listen(s)
			}
			c.confirm(kind, name)
		}
	}
}

// unsubscribing has a client listen no more to channels, or to patterns: without a name, to none.
func unsubscribing(kind string, listOf func(*conn) *[]string) func(*conn, *scope, []string) {
	return func(c *conn, _ *scope, words []string) {
		list, names := listOf(c), words[1:]
		if len(names) == 0 {
			names = slices.Clone(*list)
		}
		if len(names) == 0 {
			c.out.push(3)
			c.out.bulk(kind)
			c.out.nothing(false)
			c.out.integer(int64(c.listens()))
			return
		}
		for _, name := range names {
			if i := slices.Index(*list, name); i >= 0 {
				*list = slices.Delete(*list, i, i+1)
				if c.listens() == 0 {
					c.port.count(func(n *Counts) { n.Subscribers-- })
				}
			}
			c.confirm(kind, name)
		}
	}
}

func (c *conn) confirm(kind, name string) {
	c.out.push(3)
	c.out.bulks(kind, name)
	c.out.integer(int64(c.listens()))
}
