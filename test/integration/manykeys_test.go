package integration

import (
	"fmt"
	"strings"
	"testing"

	"nuthatch/internal/testkit"
)

// BenchmarkManyKeys sends requests of many keys through nuthatch to three
// redis-servers. What a key costs must not depend on how many there are.
func BenchmarkManyKeys(b *testing.B) {
	for _, command := range []string{"MSET", "MGET", "DEL"} {
		for _, n := range []int{100, 1000, 10_000, 100_000} {
			b.Run(fmt.Sprintf("%s%d", command, n), func(b *testing.B) {
				servers := []*testkit.Server{testkit.StartRedis(b), testkit.StartRedis(b), testkit.StartRedis(b)}
				pool := testkit.Pool{Protocol: testkit.Redis, Servers: testkit.Names(servers...)}
				c := testkit.StartNuthatch(b, pool.String()).Dial(testkit.Redis)
				set, keys := []string{"MSET"}, []string{command}
				for _, key := range spread(n) {
					set = append(set, key, strings.Repeat("v", 32))
					keys = append(keys, key)
				}
				request, fill := testkit.RESP(keys...), testkit.RESP(set...)
				if command == "MSET" {
					request = fill
				}
				c.Send(fill)
				c.Expect("+OK\r\n")
				for b.Loop() {
					if command == "DEL" {
						b.StopTimer()
						c.Send(fill)
						c.Expect("+OK\r\n")
						b.StartTimer()
					}
					c.Send(request)
					if got := c.Reply(); got[0] == '-' || strings.HasPrefix(got, ":0") {
						b.Fatalf("%.100q", got)
					}
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/key")
			})
		}
	}
}
