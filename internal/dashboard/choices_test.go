package dashboard_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/accessibility"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"
)

// drag moves the mouse over the first plot, from one part of its width to another, with its
// button down.
func (b *tab) drag(from, to float64) {
	b.t.Helper()
	box := value[[]float64](b, `(() => { const r = document.querySelector(".view-overview .plot").getBoundingClientRect(); return [r.left + 58, r.top + r.height / 2, r.width - 68]; })()`)
	mouse := func(kind input.DispatchMouseEventType, at float64, buttons int64) {
		b.t.Helper()
		call(b, input.DispatchMouseEvent, input.DispatchMouseEventParams{
			Type: kind, X: box[0] + at*box[2], Y: box[1], Button: input.MouseButtonLeft, Buttons: buttons, ClickCount: 1,
		})
	}
	mouse(input.DispatchMouseEventTypeMousePressed, from, 1)
	mouse(input.DispatchMouseEventTypeMouseMoved, (from+to)/2, 1)
	mouse(input.DispatchMouseEventTypeMouseMoved, to, 1)
	mouse(input.DispatchMouseEventTypeMouseReleased, to, 0)
}

// TestZoom: the mouse and keys choose the part of the time that the plots show, and the address
// has it. The value at the cursor is that of its time. Lines go on through the whole history.
func TestZoom(t *testing.T) {
	f := startFixture(t, 3)
	b := open(t, f.url, 1440, "light")
	b.await("figures", `document.querySelectorAll(".map button").length === 3`)
	b.do(`[...document.querySelectorAll(".view-overview .chips button")].at(-1).click()`)
	b.await("an hour in one line", `document.querySelector(".view-overview .plot .line").getAttribute("d").split("M").length <= 3 &&
		document.querySelector(".view-overview .plot .line").getAttribute("d").split("L").length > 60`)
	b.drag(0.4, 0.6)
	const zoomed = `(() => { const q = new URLSearchParams(location.hash.split("?")[1]); return Number(q.get("to")) - Number(q.get("from")); })()`
	b.await("twelve minutes", zoomed+` > 11 * 60e3 && `+zoomed+` < 13 * 60e3`)
	shared := value[string](b, `location.href`)

	b.do(`document.querySelector(".view-overview .plot").focus()`)
	b.press("+")
	b.await("half of it", zoomed+` < 7 * 60e3 && `+zoomed+` > 5 * 60e3`)
	b.press("-")
	b.await("all of it", zoomed+` > 11 * 60e3`)
	b.do(`document.querySelector(".view-overview .plot").dispatchEvent(new KeyboardEvent("keydown", { key: "ArrowLeft" }))`)
	b.await("the time and value at the cursor", `/\d\d:\d\d:\d\d/.test(document.querySelector(".view-overview .when").textContent) &&
		/at .*\d\d:\d\d:\d\d: .*\d/.test(document.querySelector(".view-overview .plot").getAttribute("aria-label"))`)
	b.press("0")
	b.await("no zoom", `!location.hash.includes("from=")`)

	other := open(t, shared, 1440, "light")
	other.await("the same time", zoomed+` > 11 * 60e3 && `+zoomed+` < 13 * 60e3`)
	other.await("its peak", `parseFloat(document.querySelector(".view-overview .plot .tick:last-of-type")?.textContent) >= 0`)
}

// TestFixedWindows: rates and times are of the window that is chosen by mouse, key or address,
// on every view, and say so.
func TestFixedWindows(t *testing.T) {
	f := startFixture(t, 3)
	b := open(t, f.url, 1440, "light")
	b.await("figures", `document.querySelectorAll(".map button").length === 3`)
	of := func(window string) string {
		return fmt.Sprintf(`document.querySelector("#scope").textContent.includes("of the last %s,") && document.querySelector("#windows [aria-pressed=true]").textContent === %[1]q`, window)
	}
	b.await("ten seconds", of("10 s"))
	b.do(`document.querySelectorAll("#windows button")[1].click()`)
	b.await("a minute", of("1 min")+` && location.hash.includes("window=1m")`)
	b.await("the question for it", `performance.getEntriesByType("resource").some((e) => e.name.includes("window=1m"))`)
	b.await("tiles that say so", `document.querySelector(".vital").textContent.includes("last 1 min")`)
	b.press("w")
	b.await("ten minutes", of("10 min"))
	for i, view := range views[:3] {
		b.press(fmt.Sprint(i + 1))
		b.await("the window in "+view, of("10 min")+fmt.Sprintf(` && location.hash.startsWith("#%s") && location.hash.includes("window=10m")`, view))
	}
	other := open(t, f.url+"/#servers?window=1m", 1440, "light")
	other.await("a minute, by the address", of("1 min"))
	other.await("until when", `/of the last 1 min, until [0-9-]* ?\d\d:\d\d:\d\d, unless/.test(document.querySelector("#scope").textContent)`)
	f.with(func() { f.age = 42 * time.Second })
	other.await("that the process is younger", `document.querySelector("#scope").textContent.includes("of the last 42 s, until")`)
}

// TestFiltersAreInTheAddress: what a view is filtered by is in its address.
func TestFiltersAreInTheAddress(t *testing.T) {
	f := startFixture(t, 9)
	b := open(t, f.url, 1440, "light")
	b.await("figures", `document.querySelectorAll(".map button").length === 9`)
	for _, view := range views {
		if view == "overview" || view == "where" {
			continue // theirs are pools and keys, not words
		}
		b.view(view)
		b.do(fmt.Sprintf(`(() => { const s = document.querySelector(".view-%s [data-filter]"); s.value = "s e&?#"; s.dispatchEvent(new Event("input")); })()`, view))
		b.await("the filter in the address of "+view, `new URLSearchParams(location.hash.split("?")[1]).get("q") === "s e&?#"`)
	}
}

// TestLinksCanBeShared: whoever opens an address sees what was chosen: the filter, the state, the
// order, and the server that is open.
func TestLinksCanBeShared(t *testing.T) {
	f := startFixture(t, 9)
	f.ill = map[int]string{2: "ejected"}
	b := open(t, f.url, 1440, "light")
	b.view("servers")
	b.do(`(() => { const s = document.querySelector(".view-servers [data-filter]"); s.value = "00"; s.dispatchEvent(new Event("input")); })()`)
	b.do(`document.querySelector('.view-servers [data-state="ejected"]').click()`)
	b.do(`document.querySelector(".view-servers thead button").click()`)
	b.do(`document.querySelector(".view-servers tbody .open").click()`)
	b.await("the sheet", `document.querySelector("#sheet").open`)
	what := `document.querySelector(".view-servers tbody").textContent + document.querySelector("#sheet-title").textContent + document.querySelector(".view-servers th[aria-sort]").textContent`
	name := value[string](b, `document.querySelector("#sheet-title").textContent`)
	shared := value[string](b, `location.href`)

	other := open(t, shared, 768, "dark")
	other.await("the same server open", fmt.Sprintf(`document.querySelector("#sheet").open && document.querySelector("#sheet-title").textContent === %q`, name))
	other.await("the same filter", `document.querySelector(".view-servers [data-filter]").value === "00" && document.querySelectorAll(".view-servers tbody .open").length === 1`)
	other.await("the same order", `document.querySelector(".view-servers th[aria-sort]").textContent === "server"`)
	if got := value[string](other, what); !strings.Contains(got, "ejected") {
		t.Errorf("the other shows %q", got)
	}
}

// named are roles of which each needs a name.
var named = []string{
	"button", "link", "textbox", "searchbox", "combobox", "checkbox", "img", "image", "table", "columnheader", "region", "group", "navigation", "heading", "dialog",
}

// TestNamesForScreenReaders: on every view, whatever can be used or read as a whole has a name,
// and there is one heading of the first level.
func TestNamesForScreenReaders(t *testing.T) {
	for _, view := range views {
		t.Run(view, func(t *testing.T) {
			f := startFixture(t, 6)
			f.ill = map[int]string{2: "ejected", 4: "disabled"}
			b := open(t, f.url, 1440, "light")
			b.view(view)
			if n := value[int](b, `[...document.querySelectorAll("h1")].filter((e) => e.checkVisibility()).length`); n != 1 {
				t.Errorf("%s has %d headings of the first level", view, n)
			}
			checkNames(b, view)
			if view == "servers" {
				b.do(`document.querySelector(".view-servers tbody .open").click()`)
				b.await("the sheet", `document.querySelector("#sheet").open && document.querySelector("#sheet .plot path.line").getAttribute("d")`)
				checkNames(b, "a server's sheet")
			}
		})
	}
}

// checkNames fails if something on the page has a role that needs a name, and none.
func checkNames(b *tab, where string) {
	b.t.Helper()
	tree, err := chromedp.Call(b.ctx, accessibility.GetFullAXTree, accessibility.GetFullAXTreeParams{})
	if err != nil {
		b.t.Fatal(err)
	}
	text := func(v *accessibility.Value) string {
		var s string
		if v != nil {
			_ = json.Unmarshal([]byte(v.Value), &s)
		}
		return s
	}
	seen := 0
	for _, node := range tree.Nodes {
		role := text(node.Role)
		if node.Ignored || !slices.Contains(named, role) {
			continue
		}
		seen++
		if strings.TrimSpace(text(node.Name)) == "" {
			b.t.Errorf("%s: a %s has no name (node %d)", where, role, node.BackendDOMNodeID)
		}
	}
	if seen < 10 {
		b.t.Errorf("%s: only %d parts have names", where, seen)
	}
}
