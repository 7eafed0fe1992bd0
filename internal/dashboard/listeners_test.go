package dashboard_test

import (
	"testing"

	"nuthatch/internal/admin/api"
)

// The page says how many clients listen to channels, how much they are told, and how many did
// not keep up. Where nobody listens, it says nothing of it.
func TestListenersAreShown(t *testing.T) {
	f := startFixture(t, 9)
	b := open(t, f.url, 1440, "light")
	note := `document.querySelector('[data-vital="clients"] .note').textContent`
	b.await("the note", note+` === "240 connections in all"`)
	f.with(func() {
		f.change = func(p *api.Pools) {
			for i := range p.Pools[:2] {
				p.Pools[i].Counters["subscribers"], p.Pools[i].Counters["messages"] = 20, int64(100*f.tick)
			}
			p.Pools[0].Counters["subscribers_slow"] = 3
		}
	})
	b.await("who listens", note+`.includes("; 40 listen, 200 messages/s, 3 closed as too slow")`)
}
