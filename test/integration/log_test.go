package integration

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"nuthatch/internal/testkit"
)

// At log level 6 the log has a client connection's life: its coming and its
// going, by its address. At level 5 it has neither.
func TestConnectionLifeInLog(t *testing.T) {
	t.Parallel()
	for level, want := range map[string]int{"5": 0, "6": 2} {
		t.Run(level, func(t *testing.T) {
			t.Parallel()
			proxy := testkit.StartNuthatch(t, testkit.Pool{
				Protocol: testkit.Redis, Servers: []string{testkit.StartRedis(t).Entry("s1")},
			}.String(), testkit.Args("-v", level))
			c := proxy.Dial(testkit.Redis)
			c.Send(gets("a"))
			c.Expect("$-1\r\n")
			c.Close()
			proxy.AwaitStat(0, "alpha", "client_connections")
			testkit.Await(t, fmt.Sprintf("%d lines on %s", want, c.LocalAddr()), func() error {
				log, err := os.ReadFile(proxy.Log)
				if n := strings.Count(string(log), c.LocalAddr()); err == nil && n != want {
					return fmt.Errorf("%d lines in\n%s", n, log)
				}
				return err
			})
		})
	}
}
