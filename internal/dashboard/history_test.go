package dashboard_test

import (
	"strings"
	"testing"
)

// TestPageOpensFull: the plots have the hour before the page was opened, of the process, of a
// pool and of a server, and the table has trends.
func TestPageOpensFull(t *testing.T) {
	f := startFixture(t, 9)
	b := open(t, f.url, 1440, "light")
	// The line begins at the left edge of the plot, at 58 pixels.
	full := func(plot string) string {
		return `parseFloat(document.querySelector("` + plot + ` .line")?.getAttribute("d")?.slice(1)) < 62`
	}
	b.await("the plots of two minutes", full(".view-overview .plot"))
	b.do(`[...document.querySelectorAll(".view-overview .chips button")].at(-1).click()`)
	b.await("the plots of an hour", full(".view-overview .plot"))
	b.do(`(() => { const s = document.querySelector(".view-overview select"); s.value = "catalog"; s.dispatchEvent(new Event("change")); })()`)
	b.await("the plots of a pool", full(".view-overview .plot"))
	b.view("servers")
	b.await("a trend", `document.querySelector(".view-servers .spark-line")?.getAttribute("d")?.split("L").length > 10`)
	b.do(`document.querySelector(".view-servers .open").click()`)
	b.await("the plots of a server", full("#sheet .plot"))
	f.with(func() {
		if asked := strings.Join(f.asked, " "); strings.Count(asked, "history") != 6 {
			t.Errorf("the history is asked for %d times, want one of all, one of each pool's trends, one of the pool, one of the server", strings.Count(asked, "history"))
		}
	})
}
