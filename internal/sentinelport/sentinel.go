package sentinelport

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"nuthatch/internal/emulate"
)

// The subcommands of SENTINEL.

// missTime is after what time a proxy that does not answer is gone, in about milliseconds.
const missTime = "5000"

// A subcommand is one of SENTINEL's.
type subcommand struct {
	// arity is how many words a request has.
	arity int
	// named: the third word is the name of the pool, which must be right.
	named bool
	run   func(*conn, *scope)
	help  string
}

// sentinelCommands are those that are answered.
var sentinelCommands = map[string]subcommand{
	"ckquorum":                {3, true, (*conn).quorum, "CKQUORUM <master-name>: how many sentinels there are."},
	"get-master-addr-by-name": {3, false, nil, "GET-MASTER-ADDR-BY-NAME <master-name>: the proxy to use."},
	"help":                    {2, false, (*conn).help, "HELP: this text."},
	"master":                  {3, true, (*conn).master, "MASTER <master-name>: the proxy to use, and more."},
	"masters":                 {2, false, (*conn).masters, "MASTERS: the same of all there are, which is one."},
	"myid":                    {2, false, (*conn).myID, "MYID: the id of this sentinel."},
	"pending-scripts":         {2, false, (*conn).none, "PENDING-SCRIPTS: nothing."},
	"replicas":                {3, true, (*conn).none, "REPLICAS <master-name>: nothing, since a proxy has none."},
	"sentinels":               {3, true, (*conn).sentinels, "SENTINELS <master-name>: the other proxies that answer so."},
	"slaves":                  {3, true, (*conn).none, "SLAVES <master-name>: as REPLICAS."},
}

// sentinelRefused are those that would change something, or tell of what is not there.
var sentinelRefused = []string{
	"config", "debug", "failover", "flushconfig", "info-cache", "is-master-down-by-addr", "monitor", "remove", "reset", "set", "simulate-failure",
}

const noSuchMaster = "ERR No such master with that name"

// sentinel is SENTINEL.
func (c *conn) sentinel(s *scope, words []string) {
	sub := strings.ToLower(words[1])
	cmd, known := sentinelCommands[sub]
	switch {
	case slices.Contains(sentinelRefused, sub):
		c.out.fail("ERR SENTINEL " + strings.ToUpper(sub) + " is not possible: nuthatch answers as a Sentinel, and manages no servers")
	case !known:
		c.unknownSub(words)
	case len(words) != cmd.arity:
		c.out.fail("ERR wrong number of arguments for 'sentinel|" + sub + "' command")
	case cmd.run == nil && words[2] != s.Name:
		c.out.nothing(true)
	case cmd.run == nil:
		at := c.proxy(s)
		c.out.list([]string{at.Host, strconv.Itoa(at.Port)})
	case cmd.named && words[2] != s.Name:
		c.out.fail(noSuchMaster)
	default:
		cmd.run(c, s)
	}
}

func (c *conn) none(*scope) { c.out.array(0) }

// helpLines are the lines of SENTINEL HELP.
var helpLines []string

func init() { // it is an answer of the table itself
	for _, cmd := range sentinelCommands {
		helpLines = append(helpLines, cmd.help)
	}
	slices.Sort(helpLines)
}

func (c *conn) help(*scope) {
	c.out.array(len(helpLines))
	for _, line := range helpLines {
		c.out.status(line)
	}
}

// idIn is the id of this sentinel.
func (p *Port) idIn(m *emulate.Map) string {
	if m.Sentinel != (emulate.Address{}) {
		return m.Sentinel.ID()
	}
	return emulate.Address{Host: p.place.Host, Port: p.place.Port}.ID()
}

func (c *conn) myID(s *scope) { c.out.bulk(c.port.idIn(s.Board.Map())) }

func (c *conn) quorum(s *scope) {
	c.out.status(fmt.Sprintf("OK %d usable Sentinels. Quorum and failover authorization can be reached", 1+len(s.Board.Map().Sentinels)))
}

func (c *conn) masters(s *scope) {
	c.out.array(1)
	c.master(s)
}

// master describes the proxy that the client is to use.
func (c *conn) master(s *scope) {
	at, others := c.proxy(s), len(s.Board.Map().Sentinels)
	since := strconv.FormatInt(time.Since(c.port.started).Milliseconds(), 10)
	c.fields([]string{
		"name", s.Name, "ip", at.Host, "port", strconv.Itoa(at.Port), "runid", at.ID(), "flags", "master",
		"link-pending-commands", "0", "link-refcount", "1", "last-ping-sent", "0", "last-ok-ping-reply", "0", "last-ping-reply", "0",
		"down-after-milliseconds", missTime, "info-refresh", "0", "role-reported", "master", "role-reported-time", since,
		"config-epoch", "0", "num-slaves", "0", "num-other-sentinels", strconv.Itoa(others), "quorum", strconv.Itoa((1+others)/2 + 1),
		"failover-timeout", missTime, "parallel-syncs", "1",
	})
}

// sentinels describes the other proxies that answer as Sentinels.
func (c *conn) sentinels(s *scope) {
	others := s.Board.Map().Sentinels
	c.out.array(len(others))
	for _, at := range others {
		c.fields([]string{
			"name", at.ID(), "ip", at.Host, "port", strconv.Itoa(at.Port), "runid", at.ID(), "flags", "sentinel",
			"link-pending-commands", "0", "link-refcount", "1", "last-ping-sent", "0", "last-ok-ping-reply", "0", "last-ping-reply", "0",
			"down-after-milliseconds", missTime, "last-hello-message", "0", "voted-leader", "?", "voted-leader-epoch", "0",
		})
	}
}

// fields are names, each with its value behind it.
func (c *conn) fields(all []string) {
	c.out.mapping(len(all) / 2)
	c.out.bulks(all...)
}
