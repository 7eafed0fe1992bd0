package memcache_test

import (
	"fmt"
	"strings"
	"testing"

	"nuthatch/internal/mbuf"
	"nuthatch/internal/msg"
	"nuthatch/internal/proto/memcache"
)

// chained is text as a chain whose first chunk ends with the text's n-th byte.
func chained(p *mbuf.Pool, text string, n int) (c mbuf.Chain) {
	c.AppendString(p, strings.Repeat("x", mbuf.SmallSize-n))
	c.AppendString(p, text)
	c.Advance(p, mbuf.SmallSize-n)
	return c
}

// named is a way to a server of that name.
type named string

func (n named) ServerName() string { return string(n) }
func (n named) ReadyAt() int64     { return 0 }

// TestBroadcasts holds what becomes of the replies of three servers. A reply
// that begins with "!" is a failure.
func TestBroadcasts(t *testing.T) {
	const refused = "!" // ConnRefused
	for _, tt := range []struct {
		name, request string
		replies       [3]string
		want          string
		failed        bool
	}{
		{"all well", "flush_all\r\n", [3]string{"OK\r\n", "OK\r\n", "OK\r\n"}, "OK\r\n", false},
		{"one objects", "flush_all x\r\n", [3]string{"OK\r\n", "OK\r\n", "CLIENT_ERROR no\r\n"}, "CLIENT_ERROR no\r\n", false},
		{"one fails", "verbosity 1\r\n", [3]string{"CLIENT_ERROR no\r\n", refused, "OK\r\n"}, "SERVER_ERROR Connection refused\r\n", true},
		{
			"statistics", "stats items\r\n",
			[3]string{"STAT pid 1\r\nSTAT v a b\r\nEND\r\n", "END\r\n", "STAT pid 3\r\nEND\r\n"},
			"STAT s1:pid 1\r\nSTAT s1:v a b\r\nSTAT s3:pid 3\r\nEND\r\n", false,
		},
		{
			"other lines", "stats detail dump\r\n",
			[3]string{"PREFIX a get 1\r\nEND\r\n", "ITEM k [1 b; 0 s]\r\nEND\r\n", "END\r\n"},
			"PREFIX s1:a get 1\r\nITEM k [1 b; 0 s]\r\nEND\r\n", false,
		},
		{
			"one server down", "stats servers\r\n",
			[3]string{"STAT pid 1\r\nEND\r\n", refused, "SERVER_ERROR out of memory\r\n"},
			"STAT s1:pid 1\r\nSTAT s2:error SERVER_ERROR Connection refused\r\nSTAT s3:error SERVER_ERROR out of memory\r\nEND\r\n", false,
		},
		{"all servers down", "stats servers\r\n", [3]string{refused, refused, refused}, "SERVER_ERROR Connection refused\r\n", true},
		{"all say the same", "stats detail\r\n", [3]string{"RESET\r\n", "RESET\r\n", "RESET\r\n"}, "RESET\r\n", false},
		{"all have nothing", "stats items\r\n", [3]string{"END\r\n", "END\r\n", "END\r\n"}, "END\r\n", false},
		{
			"not all the same", "stats detail\r\n",
			[3]string{"RESET\r\n", "RESET\r\n", "ERROR\r\n"},
			"STAT s1:reply RESET\r\nSTAT s2:reply RESET\r\nSTAT s3:error ERROR\r\nEND\r\n", false,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, size := range []int{1, 3, 10, 20, 1000} {
				var pool mbuf.Pool
				var out mbuf.Chain
				proto := memcache.New(memcache.Options{AllowFlush: true})
				req := parseOnce(t, proto.NewRequestParser(), []byte(tt.request))
				if req.Treatment != msg.Broadcast {
					t.Fatalf("treatment %v", req.Treatment)
				}
				parent := &msg.Msg{Type: req.Type}
				for i, reply := range tt.replies {
					f := &msg.Msg{Via: named(fmt.Sprintf("s%d", i+1))}
					if reply == refused {
						f.Err = msg.ConnRefused
					} else {
						f.Reply = chained(&pool, reply, size)
					}
					parent.Frags = append(parent.Frags, f)
				}
				failed := proto.Merge(parent, &pool, &out)
				if got := flatten(&pool, &out); got != tt.want || failed != tt.failed {
					t.Errorf("cut at %d: got %q, failed %v; want %q, %v", size, got, failed, tt.want, tt.failed)
				}
				if n := pool.Live(); n != 0 {
					t.Errorf("cut at %d: %d chunks are left", size, n)
				}
			}
		})
	}
}

// TestSilent holds which replies a quiet request hides.
func TestSilent(t *testing.T) {
	hidden := map[string]string{"mg a q": "EN", "ms a 1 q": "HD", "md a q": "HD", "ma a q": "HD VA"}
	for request, codes := range hidden {
		proto := memcache.New(memcache.Options{})
		body := ""
		if strings.HasPrefix(request, "ms") {
			body = "x\r\n"
		}
		req := parseOnce(t, proto.NewRequestParser(), []byte(request+"\r\n"+body))
		if !req.Quiet {
			t.Errorf("%s is not quiet", request)
		}
		for _, reply := range []string{"EN k1\r\n", "HD\r\n", "VA 1 Ox\r\nx\r\n", "NS\r\n", "EX\r\n", "NF\r\n", "ERROR\r\n", "CLIENT_ERROR x\r\n", "SERVER_ERROR x\r\n"} {
			want := strings.Contains(codes, reply[:2])
			if got := proto.Silent(req.Type, msg.Reply{Flat: []byte(reply)}); got != want {
				t.Errorf("%s, %q: silent %v", request, reply, got)
			}
			var pool mbuf.Pool
			c := chained(&pool, reply, 1)
			if got := proto.Silent(req.Type, msg.Reply{Chain: &c}); got != want {
				t.Errorf("%s, %q in pieces: silent %v", request, reply, got)
			}
			if allocs := testing.AllocsPerRun(10, func() { proto.Silent(req.Type, msg.Reply{Chain: &c}) }); allocs > 0 {
				t.Errorf("%v allocations per reply", allocs)
			}
			c.Release(&pool)
		}
	}
}
