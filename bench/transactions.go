package main

import (
	"fmt"
	"strings"
)

// Transactions are works that only some proxies can be asked to do. What one costs is
// compared with what a GET costs the same proxy.

// redisSessions is one server, for what belongs to a client's session.
var redisSessions = topology{redis: true, servers: 1, pools: 1, sessions: true}

// pingSteps is the work of which the relay is the floor, too: what a client's round trips cost
// that need no server.
const pingSteps = "ping-7-steps"

// transactionWorks are the works with MULTI and EXEC. A request is a whole transaction. The
// PINGs, which the proxy answers, are what as many round trips of a client cost without one.
func transactionWorks() []work {
	return []work{
		{name: "multi-5", title: "MULTI, 5 SET, EXEC in one write", topology: redisSessions, clients: usualClients, one: transaction(5)},
		{name: "multi-5-p16", title: "16 of those in flight", topology: redisSessions, clients: usualClients, one: pipelined(16, transaction(5))},
		{name: "multi-5-steps", title: "MULTI, 5 SET, EXEC, one after the other", topology: redisSessions, clients: usualClients, one: steps(5)},
		{name: pingSteps, title: "7 PING, one after the other", topology: redisSessions, clients: usualClients, one: pings(7)},
	}
}

// A relation is the largest ratio of a work's CPU time to that of another one, whose title it
// has.
type relation struct {
	work, of, title string
	most            float64
}

// transactionTargets are the largest ratios of a transaction's CPU time to that of another
// work that nuthatch sets itself.
var transactionTargets = []relation{
	{"multi-5", "get-p1", "CPU of GET", 1.6},
	{"multi-5-p16", "get-p16", "CPU of GET, pipeline 16", 4},
	{"multi-5-steps", "get-p1", "CPU of GET", 4.5},
}

// transaction makes transactions of n SETs that are written at once.
func transaction(n int) func() exchange {
	reply := "+OK\r\n" + strings.Repeat("+QUEUED\r\n", n) + fmt.Sprintf("*%d\r\n", n) + strings.Repeat("+OK\r\n", n)
	return func() exchange {
		request := respRequest("MULTI")
		for range n {
			request = append(request, respRequest("SET", small.any(), small.value())...)
		}
		return exchange{append(request, respRequest("EXEC")...), []byte(reply), 1, nil}
	}
}

// steps makes transactions of n SETs, whose client waits for each reply.
func steps(n int) func() exchange {
	end := fmt.Sprintf("*%d\r\n", n) + strings.Repeat("+OK\r\n", n)
	return func() exchange {
		last := &exchange{respRequest("EXEC"), []byte(end), 1, nil}
		for range n {
			last = &exchange{respRequest("SET", small.any(), small.value()), []byte("+QUEUED\r\n"), 0, last}
		}
		return exchange{respRequest("MULTI"), []byte("+OK\r\n"), 0, last}
	}
}

// pings makes n PINGs, whose client waits for each reply.
func pings(n int) func() exchange {
	return func() exchange {
		last := &exchange{respRequest("PING"), []byte("+PONG\r\n"), 1, nil}
		for range n - 1 {
			last = &exchange{respRequest("PING"), []byte("+PONG\r\n"), 0, last}
		}
		return *last
	}
}
