package proxy_test

import (
	"fmt"
	"io"
	"net"
	"testing"

	"nuthatch/internal/proxy"
)

// A userBench is a pool with one loop whose clients are one user.
type userBench struct {
	rig     *rig
	clients []io.ReadWriter
}

// BenchmarkUsers is what rules cost a GET on its whole way through a loop: of clients of a pool
// without users, of a user who may do everything, of one with a pattern of keys and a category of
// commands ("one-%"), and of one with a few of both ("keys-%"). The pools take turns, a few thousand
// requests each. "off-loop-ns/req" is the least without users; the others say how much more the least
// of theirs is: on a machine that others use, the least of many short blocks is what they disturbed
// least. "same-%" is that of a second pool without users: what is noise. See BenchmarkForward.
func BenchmarkUsers(b *testing.B) {
	for _, pipeline := range []int{1, 16, 100} {
		b.Run(fmt.Sprintf("pipeline=%d", pipeline), func(b *testing.B) { compareUsers(b, pipeline) })
	}
}

func compareUsers(b *testing.B, pipeline int) {
	const clients, block = 32, 3200
	one, reply := command("GET", "some:key:01"), bulk("value")
	var request []byte
	for range pipeline {
		request = append(request, one...)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { l.Close() })
	go countingServer(l, len(one), reply)
	names, benches := []string{"off", "same", "all", "one", "keys"}, make([]userBench, 5)
	for i, rules := range []string{"", "", "~* &* +@all", "~some:* +@read", "~other:* %R~read:* ~some:* &news -@all +@read +@write +ping"} {
		text := "nuthatch: {threads: 1}\nalpha:\n  listen: %s\n  redis: true\n  timeout: 5000\n"
		if rules != "" {
			text += "  users:\n    default: {rules: \"off\"}\n    alice: {rules: \"on >a " + rules + "\"}\n"
		}
		r := startRig(b, text+"  servers:\n  - "+l.Addr().String()+":1 s1\n")
		r.on(0, func(ctx *proxy.Context) { ctx.SetMeasures(proxy.Measures{}) })
		benches[i].rig = r
		for range clients {
			u := r.dial()
			if rules != "" {
				u.send(command("AUTH", "alice", "a"))
				u.expect("+OK\r\n")
			}
			benches[i].clients = append(benches[i].clients, u)
		}
	}
	got, rounds := make([]byte, len(reply)*pipeline), max(block/clients/pipeline, 1)
	least := make([]float64, len(benches))
	for i := range benches {
		least[i] = benches[i].run(b, request, got, rounds)
	}
	first := 0
	for b.Loop() {
		for i := range benches {
			at := (first + i) % len(benches)
			least[at] = min(least[at], benches[at].run(b, request, got, rounds))
		}
		first++
	}
	b.ReportMetric(least[0], "off-loop-ns/req")
	for i := 1; i < len(benches); i++ {
		b.ReportMetric(100*(least[i]/least[0]-1), names[i]+"-%")
	}
}

// run is the loop's time for rounds of the request of each client, in nanoseconds for each reply.
func (u *userBench) run(b *testing.B, request, got []byte, rounds int) float64 {
	before := u.rig.loopTime()
	for range rounds {
		for _, c := range u.clients {
			if _, err := c.Write(request); err != nil {
				b.Fatal(err)
			}
		}
		for _, c := range u.clients {
			if _, err := io.ReadFull(c, got); err != nil {
				b.Fatal(err)
			}
		}
	}
	return float64(u.rig.loopTime()-before) / float64(rounds*len(u.clients)*len(got)/len(bulk("value")))
}
