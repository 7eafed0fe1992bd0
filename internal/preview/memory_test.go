package preview

import (
	"encoding/json"
	"fmt"
	"runtime"
	"testing"

	"nuthatch/internal/config"
)

// many are n servers, numbered from first on.
func many(first, n int) []string {
	lines := make([]string, n)
	for i := range lines {
		lines[i] = fmt.Sprintf("10.%d.%d.%d:6379:1 s%d", (first+i)>>16, (first+i)>>8&255, (first+i)&255, first+i)
	}
	return lines
}

// allocated is how many bytes f allocates, which is more than it holds at once.
func allocated(f func()) int64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return int64(after.TotalAlloc - before.TotalAlloc)
}

// TestMemory: what a comparison takes is known before it is made, about. Of what is
// allocated in all, not all is held at once.
func TestMemory(t *testing.T) {
	for name, c := range map[string]struct{ old, changed *config.Config }{
		"the same":       {parse(t, many(0, 500)), parse(t, many(0, 500))},
		"one more":       {parse(t, many(0, 500)), parse(t, many(0, 501))},
		"all others":     {parse(t, many(0, 300)), parse(t, many(300, 300))},
		"another hash":   {parse(t, many(0, 300)), parse(t, many(0, 300), "hash: md5")},
		"very many more": {parse(t, many(0, 10)), parse(t, many(0, 5000))},
	} {
		t.Run(name, func(t *testing.T) {
			estimate := Memory(c.old, c.changed)
			took := allocated(func() {
				if _, err := json.Marshal(Compare(c.old, c.changed)); err != nil {
					t.Error(err)
				}
			})
			t.Logf("%d KB are estimated, %d KB are allocated", estimate>>10, took>>10)
			if took > 4*estimate {
				t.Errorf("%d bytes are allocated, %d were estimated", took, estimate)
			}
		})
	}
}
