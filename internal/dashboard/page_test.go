package dashboard_test

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp/kb"

	"nuthatch/internal/admin/api"
	"nuthatch/internal/stats"
)

func TestFiveHundredServers(t *testing.T) {
	f := startFixture(t, 500)
	f.ill = map[int]string{77: "ejected", 140: "ejected", 300: "disabled"}
	b := open(t, f.url, 1440, "light")
	b.await("the map", `document.querySelectorAll(".map button").length === 500`)
	if got := b.text("#tabs a:nth-child(2)"); got != "Servers 3" {
		t.Errorf("the tab of servers says %q", got)
	}
	b.view("servers")
	if got := value[string](b, `document.querySelector(".view-servers table").getAttribute("aria-rowcount")`); got != "501" {
		t.Errorf("%s rows are announced, want 501", got)
	}
	if n := value[int](b, `document.querySelectorAll(".view-servers tbody tr").length`); n > 100 {
		t.Errorf("%d rows exist for a screen that shows thirty", n)
	}
	first := `document.querySelector(".view-servers tbody .open").textContent`
	if got := value[string](b, first); !strings.Contains(got, "140") && !strings.Contains(got, "077") {
		t.Errorf("the first row is %q, want a server that is ejected", got)
	}

	b.do(`document.querySelector(".view-servers .table-scroll").scrollTop = 1e6`)
	b.await("the last row", `document.querySelector('.view-servers tr[aria-rowindex="501"]')`)
	b.do(`[...document.querySelectorAll(".view-servers thead button")].find((e) => e.textContent === "server").click()`)
	b.do(`document.querySelector(".view-servers .table-scroll").scrollTop = 0`)
	b.await("rows sorted by name", first+` === "upcatalog-166" && document.querySelector('.view-servers th[aria-sort]').textContent === "server"`)

	b.press("/")
	b.key("-14")
	b.await("the rows that match", `document.querySelector(".view-servers table").getAttribute("aria-rowcount") === "11"`)
	b.do(`document.querySelector('[data-state="ejected"]').click()`)
	b.await("the one that is ejected", `document.querySelector(".view-servers table").getAttribute("aria-rowcount") === "2" && `+first+`.includes("-140")`)
}

// TestOthersWordsStayWords shows names that would be markup.
func TestOthersWordsStayWords(t *testing.T) {
	const name = `<img src=x onerror="document.title='hit'"><script>document.title='hit'</script>`
	f := startFixture(t, 3)
	f.clients = []api.Client{{ID: 1, Pool: name, Address: name, Name: name, Library: name, Held: 1 << 30}}
	b := open(t, f.url+"/#clients", 1440, "light")
	b.await("the client", fmt.Sprintf(`[...document.querySelectorAll(".view-clients tbody td")].some((e) => e.textContent === %q)`, name))
	b.view("where")
	b.do(fmt.Sprintf(`document.querySelector("#where-key").value = %q`, name))
	b.do(`document.querySelector("form.where").requestSubmit()`)
	b.await("the placement", fmt.Sprintf(`document.querySelector(".owner code")?.textContent === %q`, name))
	if n := value[int](b, `document.querySelectorAll("main img, main script").length`); n != 0 {
		t.Errorf("%d elements were made of names", n)
	}
}

func TestTokenIsAskedForAndKeptInTheTab(t *testing.T) {
	f := startFixture(t, 3)
	f.token = "open sesame"
	b := open(t, f.url, 768, "light", "401")
	b.await("the question", `document.querySelector("#login").open && document.activeElement.id === "token"`)
	b.key("wrong" + kb.Enter)
	b.await("the refusal", `document.querySelector("#login").open && document.querySelector("#login-fault").textContent`)
	b.key(f.token + kb.Enter)
	b.await("figures", `document.querySelector("#pulse").textContent === "live"`)
	kept := value[string](b, `JSON.stringify([Object.values(sessionStorage), Object.values(localStorage), document.cookie])`)
	if kept != `[["open sesame"],[],""]` {
		t.Errorf("kept in the session, for good, as cookies: %s", kept)
	}
}

// TestTokenDialogNamesTheKeys: what it tells to look for is in the configuration.
func TestTokenDialogNamesTheKeys(t *testing.T) {
	f := startFixture(t, 3)
	f.token = "x"
	b := open(t, f.url, 768, "light", "401")
	b.await("the question", `document.querySelector("#login").open`)
	reference, err := os.ReadFile("../../docs/CONFIGURATION.md")
	if err != nil {
		t.Fatal(err)
	}
	keys := strings.Fields(value[string](b, `[...document.querySelectorAll("#login code")].map((e) => e.textContent).join(" ")`))
	if len(keys) != 3 {
		t.Errorf("the dialog names %q", keys)
	}
	for _, key := range keys {
		if !strings.Contains(string(reference), strings.TrimSuffix(key, ":")) {
			t.Errorf("the dialog names %s, which is no key", key)
		}
	}
}

// TestRequestErrorsAreThose: the page's list of errors that no server is to blame for
// is the statistics'.
func TestRequestErrorsAreThose(t *testing.T) {
	text, err := os.ReadFile("static/model.js")
	if err != nil {
		t.Fatal(err)
	}
	_, list, _ := strings.Cut(string(text), "requestErrors = new Set([")
	list, _, _ = strings.Cut(list, "])")
	names := strings.FieldsFunc(list, func(r rune) bool { return strings.ContainsRune("', \n", r) })
	if !slices.Equal(names, stats.RequestErrors) {
		t.Errorf("the page has %v, the statistics have %v", names, stats.RequestErrors)
	}
}

// TestTroubleSaysWhyAndForHowLong: a pause that ends by itself, and a server that
// answers with errors of its own.
func TestTroubleSaysWhyAndForHowLong(t *testing.T) {
	f := startFixture(t, 6)
	f.change = func(p *api.Pools) {
		until := p.Time.Add(100 * time.Second)
		p.Pools[0].Paused, p.Pools[0].PausedUntil, p.Pools[0].PausedBy = true, &until, "admin 10.0.0.9:4242 kim"
		full := &p.Pools[1].Servers[0]
		full.ErrorReplies = map[string]int64{"OOM": 794 + int64(f.tick), "ERR": 12}
		full.Recent = &api.Rates{Window: 10, ErrorReplies: map[string]float64{"OOM": 1, "ERR": 1}}
		wrong := &p.Pools[2].Servers[0] // of which the requests are to blame
		wrong.ErrorReplies, wrong.Recent = map[string]int64{"WRONGTYPE": 3}, &api.Rates{Window: 10, ErrorReplies: map[string]float64{"WRONGTYPE": 1}}
	}
	b := open(t, f.url, 1440, "light")
	row := func(i int) string { return fmt.Sprintf(`document.querySelectorAll(".trouble li")[%d]?.textContent`, i) }
	b.await("the pool and the server", row(1))
	full, paused := value[string](b, row(0)), value[string](b, row(1)) // what fails requests comes first
	for _, want := range []string{"sessions", "Its requests wait", "by admin 10.0.0.9:4242 kim", "paused for 1m40s more"} {
		if !strings.Contains(paused, want) {
			t.Errorf("%q has no %q", paused, want)
		}
	}
	if want := "answers with errors: 1.0 ERR, 1.0 OOM a second, in the last 10s; OOM: its memory is full"; !strings.Contains(full, "catalog-002") || !strings.Contains(full, want) {
		t.Errorf("%q has no %q", full, want)
	}
	if n := value[int](b, `document.querySelectorAll(".trouble li").length`); n != 3 {
		t.Errorf("%d rows", n)
	}
	b.do(`document.querySelector(".trouble .who button").click()`)
	b.await("the server in full", `document.querySelector("#sheet").open`)
	if got := b.text("#sheet"); !strings.Contains(strings.ToLower(got), "error replies, by their first word") {
		t.Errorf("the sheet has no error replies: %s", got)
	}
	b.do(`document.querySelector("#sheet button").click()`)
	b.view("servers")
	b.await("the rate of error replies", `[...document.querySelectorAll(".view-servers tbody td.bad-value")].some((e) => e.title.startsWith("OOM: "))`)
}

// TestColourSaysWhetherRequestsFail: the numbers of servers that are not up are amber while the
// others have their keys, and red when requests fail.
func TestColourSaysWhetherRequestsFail(t *testing.T) {
	for _, tt := range []struct {
		ill  map[int]string
		want string
	}{
		{map[int]string{1: "ejected", 3: "probing"}, "warn-value warn-value warn-value"},
		{map[int]string{1: "failing", 2: "ejected"}, "bad-value bad-value warn-value"},
		{map[int]string{0: "ejected", 1: "ejected", 2: "disabled"}, "bad-value bad-value warn-value"}, // none is left
		{nil, ""},
	} {
		f := startFixture(t, 6)
		f.ill = tt.ill
		b := open(t, f.url, 1440, "light")
		got := `[document.querySelector(".tabs b"), ...[...document.querySelectorAll("tr")].filter((e) => /^(sessions|catalog)/.test(e.innerText)).map((e) => e.cells[1])]
			.map((e) => e?.className.match(/\w+-value/)?.[0] ?? "").join(" ").trim()`
		b.await("the colours of the tab and of two pools", fmt.Sprintf("document.querySelectorAll('.map button').length === 6 && %s === %q", got, tt.want))
	}
}

func TestProxyThatCannotBeReachedIsSeen(t *testing.T) {
	f := startFixture(t, 3)
	b := open(t, f.url, 768, "light", "503")
	b.await("figures", `document.querySelector("#pulse").textContent === "live"`)
	f.with(func() { f.broken = true })
	b.await("the notice", `!document.querySelector("#notice").hidden && document.body.classList.contains("stale")`)
	if got := b.text("#notice"); !strings.Contains(got, "the proxy is ending") || !strings.Contains(got, "Next try in") {
		t.Errorf("the notice says %q", got)
	}
	f.with(func() { f.broken = false })
	b.do(`document.querySelector("#notice button").click()`)
	b.await("figures again", `document.querySelector("#notice").hidden && document.querySelector("#pulse").textContent === "live"`)
}

func TestPauseHoldsThePage(t *testing.T) {
	f := startFixture(t, 3)
	b := open(t, f.url, 768, "light")
	b.await("figures", `document.querySelector("#pulse").textContent === "live"`)
	b.key("p")
	b.await("the pause", `document.querySelector("#pause").getAttribute("aria-pressed") === "true" && document.querySelector("#pulse").textContent.startsWith("held")`)
	shown := b.text(".vitals")
	asked := f.count()
	b.do(`window.began = performance.now()`)
	b.await("the time of six questions", `performance.now() - window.began > 300`)
	if got := b.text(".vitals"); got != shown || f.count() != asked {
		t.Errorf("while it is paused the page asked %d times and went from %q to %q", f.count()-asked, shown, got)
	}
	b.key("p")
	b.await("the page going on", `document.querySelector("#pulse").textContent === "live" && document.querySelector(".vitals").innerText !== `+fmt.Sprintf("%q", shown))
}

// TestAnswerAfterPause: what was asked before a pause and is answered after it does
// not move the page.
func TestAnswerAfterPause(t *testing.T) {
	f := startFixture(t, 3)
	b := open(t, f.url, 768, "light")
	b.await("figures", `document.querySelector("#pulse").textContent === "live"`)
	shown := ""
	f.with(func() { // nothing is answered meanwhile
		b.do(`window.began = performance.now()`)
		b.await("a question", `performance.now() - window.began > 300`)
		b.key("p")
		b.await("the pause", `document.querySelector("#pause").getAttribute("aria-pressed") === "true"`)
		shown = b.text(".vitals")
	})
	b.do(`window.began = performance.now()`)
	b.await("the answer", `performance.now() - window.began > 300`)
	if got := b.text(".vitals"); got != shown {
		t.Errorf("the page, which is paused, went from %q to %q", shown, got)
	}
	b.key("p")
	b.await("the page going on", `document.querySelector(".vitals").innerText !== `+fmt.Sprintf("%q", shown))
}

func TestKeyboardReachesEverything(t *testing.T) {
	f := startFixture(t, 6)
	f.ill = map[int]string{2: "ejected"}
	b := open(t, f.url, 1440, "light")
	b.await("figures", `document.querySelectorAll(".map button").length === 6`)
	b.key(kb.Tab)
	if got := value[string](b, `document.activeElement.className`); got != "skip" {
		t.Errorf("the first stop is %q, want the link to the content", got)
	}
	b.key("2")
	b.view("servers")
	b.do(`document.querySelector(".view-servers thead button").focus()`)
	b.key(kb.Enter)
	b.await("the sorting", `document.querySelector(".view-servers thead th").getAttribute("aria-sort") === "ascending"`)
	b.do(`document.querySelector(".view-servers .open").focus()`)
	if ring := value[string](b, `getComputedStyle(document.activeElement).outlineStyle`); ring != "solid" {
		t.Errorf("the focus has outline %q", ring)
	}
	b.key(kb.Enter)
	b.await("the sheet", `document.querySelector("#sheet").open && document.querySelector("#sheet .plot path.line").getAttribute("d")`)
	b.key(kb.Escape)
	b.await("the sheet gone", `!document.querySelector("#sheet").open && document.activeElement.className === "open"`)
	b.key("1")
	b.view("overview")
	b.do(`document.querySelector(".plot").focus()`)
	b.key(kb.ArrowLeft)
	b.await("the value under the cursor", `document.querySelector(".plot .hair").getAttribute("visibility") === "visible" && document.querySelector(".when").textContent`)
	b.key("?")
	b.await("the list of keys", `document.querySelector("#help").open`)
}

// contrast finds text whose colour is too close to its ground.
const contrast = `(() => {
	const parse = (c) => c.match(/[\d.]+/g).map(Number);
	const light = ([r, g, b]) => [r, g, b].map((v) => v / 255).map((v) => (v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
		.reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
	const ground = (e) => {
		for (; e; e = e.parentElement) {
			const c = parse(getComputedStyle(e).backgroundColor);
			if (c.length < 4 || c[3] > 0) return c;
		}
		return [255, 255, 255];
	};
	const faults = [];
	for (const e of document.querySelectorAll("body *")) {
		if (!e.checkVisibility() || ![...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim())) continue;
		const style = getComputedStyle(e);
		const a = light(parse(e.namespaceURI.endsWith("svg") ? style.fill : style.color)), b = light(ground(e));
		const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
		if (ratio < 4.5) faults.push(e.className + " " + e.textContent.slice(0, 20) + " " + ratio.toFixed(2));
	}
	return faults.join("; ");
})()`

func TestTextCanBeRead(t *testing.T) {
	f := startFixture(t, 9)
	f.ill = map[int]string{1: "ejected", 4: "disabled", 7: "probing"}
	for _, scheme := range []string{"light", "dark"} {
		b := open(t, f.url, 1440, scheme)
		b.await("figures", `document.querySelectorAll(".map button").length === 9`)
		for _, view := range views {
			b.view(view)
			if faults := value[string](b, contrast); faults != "" {
				t.Errorf("%s, %s: contrast below 4.5: %s", view, scheme, faults)
			}
		}
	}
}

func TestThemeIsChosenAndKept(t *testing.T) {
	f := startFixture(t, 3)
	b := open(t, f.url, 1440, "light")
	b.await("figures", `document.querySelector("#pulse").textContent === "live"`)
	ground := `getComputedStyle(document.body).backgroundColor`
	light := value[string](b, ground)
	b.key("t")
	b.key("t")
	b.await("the dark page", ground+` !== `+fmt.Sprintf("%q", light)+` && document.querySelector("#theme").textContent === "Dark"`)
	b.do(`window.before = true, location.reload()`)
	b.await("the dark page again", `!window.before && document.querySelector("#pulse")?.textContent === "live" && `+ground+` !== `+fmt.Sprintf("%q", light))
	b.key("t")
	b.await("the page as the system has it", ground+` === `+fmt.Sprintf("%q", light))
}
