package testkit

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"
)

// movedTags are hash tags of slots that tests of clusters move.
var movedTags = []string{"tx0", "tx1", "queue", "news"}

// ReadBeside starts clients of a proxy whose reads may go to replicas. own is its read_own_writes.
//
//   - Half of them only read. Every value must be one that was written to its key.
//   - The other half write, and read that again within own: it must be there. Then they rest, so
//     that what they read next may come from a replica. It must be something that they wrote.
//
// Nodes may lose what no replica has confirmed: then only what was confirmed must be there.
func (l *Load) ReadBeside(proxy *Proxy, clients int, own time.Duration) {
	for i := range clients {
		rng := rand.New(rand.NewPCG(l.Crowd.traffic.Seed, uint64(1000+i)))
		c := Dial(l.t, Redis, Plain(l.t, proxy.Addr()))
		if i%2 == 0 {
			l.group.Go(func() { l.readOnly(c, rng) })
		} else {
			l.group.Go(func() { l.readBack(c, rng, i, own) })
		}
	}
}

// readOnly reads what the crowd writes.
func (l *Load) readOnly(c *Client, rng *rand.Rand) {
	defer c.Close()
	for l.goesOn() {
		writer, key := -1, fmt.Sprintf("shared:%d", rng.IntN(sharedKeys))
		if rng.IntN(2) == 0 {
			writer = rng.IntN(l.Crowd.traffic.Clients)
			key = fmt.Sprintf("own:%d:%d", writer, rng.IntN(ownKeys))
		}
		reply := l.do(c, "GET", key)
		if reply[0] == '-' {
			l.refused.Add(1)
			if !l.loses && !strings.HasPrefix(reply, "-TRYAGAIN") {
				l.t.Errorf("GET %s: %q", key, reply)
			}
			continue
		}
		value, found, rest, err := cutBulk(reply)
		if err == nil && rest == "" && found {
			var by int
			if by, _, err = l.Crowd.read(key, value); err == nil && writer >= 0 && by != writer {
				err = errNever
			}
		}
		if err != nil || rest != "" {
			l.t.Errorf("GET %s: %.200q: %v", key, reply, err)
		}
		l.Reads.Add(1)
		time.Sleep(time.Duration(rng.IntN(6)) * time.Millisecond)
	}
}

// readBack reads what it has written itself. Each of its keys is written again only after a
// thousand others, so that a write that got an error, and is carried out late, harms nobody.
func (l *Load) readBack(c *Client, rng *rand.Rand, id int, own time.Duration) {
	defer c.Close()
	for n := 1; l.goesOn(); n++ {
		tag := fmt.Sprintf("shared:%d", rng.IntN(sharedKeys))
		if at := rng.IntN(2 * len(movedTags)); at < len(movedTags) {
			tag = movedTags[at]
		}
		key, value := fmt.Sprintf("{%s}mine:%d:%d", tag, id, n%1000), strconv.Itoa(n)
		began := time.Now()
		done := l.do(c, "SET", key, value) == "+OK\r\n"
		confirmed := done && (!l.loses || l.do(c, "WAIT", "1", "300") == ":1\r\n")
		for range 3 {
			reply := l.do(c, "GET", key)
			if reply[0] == '-' {
				l.refused.Add(1)
			} else if confirmed && time.Since(began) < own {
				if reply != Bulk(value) {
					l.t.Errorf("GET %s: %q, %v after %s was written", key, reply, time.Since(began), value)
				}
				l.OwnReads.Add(1)
			}
		}
		time.Sleep(time.Duration(rng.Int64N(int64(2 * own))))
		reply := l.do(c, "GET", key)
		text, found, rest, err := cutBulk(reply)
		if m, notNumber := strconv.Atoi(text); reply[0] != '-' && (err != nil || rest != "" || found && (notNumber != nil || m > n || (n-m)%1000 != 0)) {
			l.t.Errorf("GET %s: %q, and %s was written last", key, reply, value)
		}
	}
}
