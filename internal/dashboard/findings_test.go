package dashboard_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"nuthatch/internal/admin/api"
)

// TestWhatNeedsALook: in words, what fails requests in red and first, the rest in amber; and a
// pool without servers turns the header red.
func TestWhatNeedsALook(t *testing.T) {
	f := startFixture(t, 9)
	f.change = func(p *api.Pools) {
		since := p.Time.Add(-40 * time.Second)
		for i := range p.Pools[0].Servers { // all are gone
			s := &p.Pools[0].Servers[i]
			s.State, s.Since, s.Reason, s.Share = "ejected", &since, "conn_refused", 0
		}
		p.Pools[1].Servers[1].Slow = &api.Slow{Since: since, Way: api.SlowTail, Takes: .123, Usual: .002, Window: 10}
		p.Pools[1].Clients, p.Pools[1].MaxClients = 90, 100
		p.Pools[1].Counters["certificate_until"] = p.Time.Add(73 * time.Hour).UnixMicro()
		until := p.Time.Add(17 * time.Second)
		q := &p.Pools[2]
		q.Paused, q.PausedUntil, q.PausedSince, q.PausedBy = true, &until, &since, "admin uid 0"
	}
	f.about = func(i *api.Info) {
		i.LastReload = &api.Reload{Time: i.Time.Add(-time.Minute), Refused: true, By: "signal", Text: "configuration not reloaded: n.yml:3: no number."}
	}
	b := open(t, f.url, 1440, "light")
	b.await("the findings", `document.querySelectorAll(".trouble li").length > 6`)
	for text, fails := range map[string]string{
		"No server of the pool is left": "true", "Its certificate ends in 3d01h": "false", "90 of 100 (client_connections)": "false",
		"one request in a hundred takes 123ms or longer": "false", "1m00s ago, by signal: configuration not reloaded: n.yml:3: no number.": "false",
		"paused for 17s more by admin uid 0, begun 40s ago": "false",
	} {
		row := fmt.Sprintf(`[...document.querySelectorAll(".trouble li")].filter((e) => e.textContent.includes(%q)).map((e) => e.dataset.fails).join()`, text)
		if got := value[string](b, row); got != fails {
			t.Errorf("%q: fails %q, want %s, in %s", text, got, fails, b.text(".trouble"))
		}
	}
	order := value[string](b, `[...document.querySelectorAll(".trouble li")].map((e) => e.dataset.fails).join(" ")`)
	if before, after, _ := strings.Cut(order, "false"); strings.Contains(after, "true") || !strings.Contains(before, "true") {
		t.Errorf("in the order of the page: %s", order)
	}
	if got := value[string](b, `[...document.querySelectorAll("#identity dd")].map((e) => e.textContent + ":" + e.className).join()`); !strings.Contains(got, "no server left in sessions:num failing") {
		t.Errorf("the header says %s", got)
	}
}

// TestRingsAreShown: what the rings of all loops have done, where there are rings.
func TestRingsAreShown(t *testing.T) {
	for _, tt := range []struct {
		enters int64
		want   string
	}{{0, ""}, {1500, "rings3.00 k enters, 4 submitted, 6 completed, 2 overflows"}} {
		f := startFixture(t, 6)
		f.about = func(i *api.Info) {
			for _, l := range i.Loops[:2] {
				l.Counters["ring_enters"], l.Counters["ring_submissions"], l.Counters["ring_completions"], l.Counters["ring_overflows"] = tt.enters, 2, 3, 1
			}
		}
		b := open(t, f.url, 1440, "light")
		const row = `[...document.querySelectorAll("div")].filter((e) => e.firstChild?.textContent === %q).map((e) => e.textContent).join()`
		b.await("the engine", fmt.Sprintf(row, "engine")+` === "engineepoll"`)
		if got := value[string](b, fmt.Sprintf(row, "rings")); got != tt.want {
			t.Errorf("%d enters of two loops: %q, want %q", tt.enters, got, tt.want)
		}
	}
}

// TestServersHaveAddresses: of one that is open, which can be shared.
func TestServersHaveAddresses(t *testing.T) {
	f := startFixture(t, 6)
	b := open(t, f.url+"/#servers/catalog/catalog-003", 1440, "light")
	b.await("the server of the address", `document.querySelector("#sheet").open && document.querySelector("#sheet-title").textContent === "catalog-003"`)
	b.do(`document.querySelector("#sheet button").click()`)
	b.await("the address of the view", `location.hash === "#servers" && !document.querySelector("#sheet").open`)
	b.do(`document.querySelector(".view-servers .open").click()`)
	b.await("the address of a server", `location.hash.split("/").length === 3 && document.querySelector("#sheet").open`)
	b.do(`history.back()`)
	b.await("the way back", `location.hash === "#servers" && !document.querySelector("#sheet").open`)
}

// TestEventsAreShown: the last ones on the overview, all in a view, with links to servers.
func TestEventsAreShown(t *testing.T) {
	f := startFixture(t, 6)
	b := open(t, f.url, 1440, "light")
	b.await("the last events", `document.querySelectorAll(".happened li").length === 3`)
	if got := b.text(".happened"); !strings.Contains(got, "requests wait") || strings.Index(got, "requests wait") > strings.Index(got, "started on pid") {
		t.Errorf("the events are %q, want the latest first", got)
	}
	b.view("events")
	b.await("all events", `document.querySelectorAll(".view-events tbody th").length === 3`)
	b.await("the server's link", `document.querySelector('.view-events a[href="#events/sessions/sessions-001"]')`)
	b.do(`document.querySelector('.view-events a').click()`)
	b.await("the server", `document.querySelector("#sheet").open && document.querySelector("#sheet-title").textContent === "sessions-001"`)
}

// TestSlowLogIsGrouped by server and command, and each request is a click away.
func TestSlowLogIsGrouped(t *testing.T) {
	f := startFixture(t, 6)
	b := open(t, f.url+"/#slowlog", 1440, "light")
	b.await("the groups", `document.querySelectorAll(".view-slowlog tbody th").length === 4`)
	if got := b.text(".view-slowlog tbody"); !strings.Contains(got, "mget") || !strings.Contains(got, "10") {
		t.Errorf("the groups are %q", got)
	}
	b.do(`[...document.querySelectorAll(".view-slowlog .chip")].at(-1).click()`)
	b.await("each request", `[...document.querySelectorAll(".view-slowlog tbody th")].filter((e) => e.checkVisibility()).length === 40`)
}
