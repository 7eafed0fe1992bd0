//go:build site

// Package site tests the documents as a site, in a browser. `make site` builds the site and runs
// it.
package site

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/chromedp/cdproto/accessibility"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"nuthatch/internal/testkit"
)

const dist = "../../dist-site"

// pages are looked at: the first one, one of each sort, and the one with the widest tables.
var pages = []string{"", "docs/TUTORIAL.html", "docs/CONFIGURATION.html", "docs/COMMANDS.html", "docs/TROUBLESHOOTING.html", "docs/METRICS.html"}

// named are the roles that say nothing without a name.
var named = []string{"button", "link", "textbox", "searchbox", "combobox", "checkbox", "switch", "navigation", "heading", "image", "img", "dialog"}

// A tab is a page in the browser, with what went wrong on it.
type tab struct {
	t      *testing.T
	ctx    context.Context
	mu     sync.Mutex
	faults []string
}

// browser starts a browser of its own, and returns its context.
func browser(t *testing.T) context.Context {
	t.Helper()
	path, err := exec.LookPath("chromium")
	if err != nil {
		path, err = exec.LookPath("google-chrome")
	}
	if err != nil {
		t.Fatal("chromium is not installed: make deps")
	}
	flags := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path), chromedp.UserDataDir(t.TempDir()), chromedp.NoSandbox, chromedp.DisableGPU, chromedp.NoFirstRun,
		chromedp.Flag("disable-background-networking", true), chromedp.Flag("disable-component-update", true))
	alloc, endAlloc := chromedp.NewExecAllocator(context.Background(), flags...)
	t.Cleanup(endAlloc)
	ctx, end := chromedp.NewContext(alloc)
	t.Cleanup(end)
	if err := chromedp.Do(ctx); err != nil {
		t.Fatal(err)
	}
	return ctx
}

// open shows a page. What it says on its console, and a request to another host, are faults.
func open(t *testing.T, in context.Context, base, page string) *tab {
	t.Helper()
	ctx, end := chromedp.NewContext(in)
	b := &tab{t: t, ctx: ctx}
	t.Cleanup(func() {
		end()
		b.mu.Lock()
		defer b.mu.Unlock()
		for _, fault := range b.faults {
			t.Error(fault)
		}
	})
	err := chromedp.Listen(ctx, func(event any) {
		fault := ""
		switch e := event.(type) {
		case *runtime.EventExceptionThrown:
			fault = "exception: " + e.ExceptionDetails.Text
		case *log.EventEntryAdded:
			if e.Entry.Level == log.EntryLevelError {
				fault = "console: " + e.Entry.Text + " " + e.Entry.URL
			}
		case *network.EventRequestWillBeSent:
			if !strings.HasPrefix(e.Request.URL, base) && !strings.HasPrefix(e.Request.URL, "data:") {
				fault = "a request to elsewhere: " + e.Request.URL
			}
		}
		if fault != "" {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.faults = append(b.faults, fault)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	call(b, log.Enable, cdp.Empty{})
	call(b, network.Enable, network.EnableParams{})
	b.show(1440, "light")
	if err := chromedp.Do(ctx, chromedp.Navigate(base+page)); err != nil {
		t.Fatal(err)
	}
	b.await("the page lives", `document.querySelector("#app")?.__vue_app__ && document.readyState === "complete"`)
	return b
}

// show gives the screen a width, and the system a theme.
func (b *tab) show(width int64, scheme string) {
	b.t.Helper()
	call(b, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{
		{Name: "prefers-color-scheme", Value: scheme}, {Name: "prefers-reduced-motion", Value: "reduce"},
	}})
	call(b, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{Width: width, Height: 900, DeviceScaleFactor: 1, Mobile: width < 500})
}

// call runs a command of the DevTools protocol.
func call[P, R any](b *tab, command cdp.Command[P, R], params P) R {
	b.t.Helper()
	r, err := chromedp.Call(b.ctx, command, params)
	if err != nil {
		b.t.Fatal(err)
	}
	return r
}

func value[T any](b *tab, js string) T {
	b.t.Helper()
	v, err := chromedp.Run(b.ctx, chromedp.Evaluate[T](js))
	if err != nil {
		b.t.Fatalf("%s: %v", js, err)
	}
	return v
}

// await waits until a JavaScript expression is true in the page.
func (b *tab) await(what, js string) {
	b.t.Helper()
	testkit.Await(b.t, what, func() error {
		ok, err := chromedp.Run(b.ctx, chromedp.Evaluate[bool]("Boolean("+js+")"))
		if err == nil && !ok {
			shown, _ := chromedp.Run(b.ctx, chromedp.Evaluate[string]("(document.querySelector(\".VPLocalSearchBox\") ?? document.body).innerText.slice(0, 1500)"))
			err = fmt.Errorf("%s is not yet true; the page shows:\n%s", js, shown)
		}
		return err
	})
}

// press presses a key that types nothing.
func (b *tab) press(key string, code int64) {
	b.t.Helper()
	text := ""
	if key == "Enter" {
		text = "\r"
	}
	call(b, input.DispatchKeyEvent, input.DispatchKeyEventParams{Type: input.DispatchKeyEventTypeKeyDown, Key: key, Code: key, Text: text, WindowsVirtualKeyCode: code})
	call(b, input.DispatchKeyEvent, input.DispatchKeyEventParams{Type: input.DispatchKeyEventTypeKeyUp, Key: key, Code: key, WindowsVirtualKeyCode: code})
}

// serve is the site as any server of files has it.
func serve(t *testing.T) string {
	t.Helper()
	if _, err := os.Stat(filepath.Join(dist, "index.html")); err != nil {
		t.Fatalf("make site builds what this test looks at: %v", err)
	}
	s := httptest.NewServer(http.FileServer(http.Dir(dist)))
	t.Cleanup(s.Close)
	return s.URL + "/"
}

// TestPagesFit looks at pages in three widths and both themes: nothing is wider than the screen
// but what scrolls by itself, and what can be used has a name.
func TestPagesFit(t *testing.T) {
	base, in := serve(t), browser(t)
	for _, page := range pages {
		t.Run(page, func(t *testing.T) {
			b := open(t, in, base, page)
			for _, width := range []int64{390, 820, 1440} {
				for _, scheme := range []string{"light", "dark"} {
					b.show(width, scheme)
					b.await("the theme "+scheme, fmt.Sprintf(`document.documentElement.classList.contains("dark") === %v`, scheme == "dark"))
					if wide := value[int](b, `document.documentElement.scrollWidth - document.documentElement.clientWidth`); wide > 0 {
						t.Errorf("%d, %s: the page is %d pixels wider than the screen", width, scheme, wide)
					}
					if n := value[int](b, `[...document.querySelectorAll("h1")].filter((e) => e.checkVisibility()).length`); n != 1 {
						t.Errorf("%d, %s: there are %d headings of the first level", width, scheme, n)
					}
				}
			}
			checkNames(b)
		})
	}
}

// checkNames fails if something on the page has a role that needs a name, and none.
func checkNames(b *tab) {
	b.t.Helper()
	text := func(v *accessibility.Value) (s string) {
		if v != nil {
			_ = json.Unmarshal([]byte(v.Value), &s)
		}
		return s
	}
	seen := 0
	for _, node := range call(b, accessibility.GetFullAXTree, accessibility.GetFullAXTreeParams{}).Nodes {
		role := text(node.Role)
		if node.Ignored || !slices.Contains(named, role) {
			continue
		}
		seen++
		if strings.TrimSpace(text(node.Name)) == "" {
			b.t.Errorf("a %s has no name (node %d)", role, node.BackendDOMNodeID)
		}
	}
	if seen < 8 {
		b.t.Errorf("only %d parts have names", seen)
	}
}

// TestKeyboard: the first Tab leads past the navigation; `/` searches, and Enter opens what was
// found.
func TestKeyboard(t *testing.T) {
	base, in := serve(t), browser(t)
	b := open(t, in, base, "docs/TUTORIAL.html")
	focus := `document.activeElement.innerText?.trim()`
	b.press("Tab", 9)
	b.await("the link past the navigation", focus+` === "Skip to content"`)
	b.press("Enter", 13)
	b.await("the content", `document.activeElement.closest("#VPContent") || document.activeElement.id === "VPContent"`)

	b.press("/", 191)
	b.await("the search", `document.activeElement.id === "localsearch-input"`)
	call(b, input.InsertText, input.InsertTextParams{Text: "Connection refused"})
	b.await("results", `document.querySelector("#localsearch-list li a")?.getAttribute("href").includes("TROUBLESHOOTING")`)
	b.press("Enter", 13)
	b.await("the page that was found", `location.pathname.endsWith("/docs/TROUBLESHOOTING.html") && document.querySelector("h1").innerText.startsWith("Troubleshooting")`)

	// Whatever can be used is reached, and seen when it is.
	reached := map[string]bool{}
	for range 40 {
		b.press("Tab", 9)
		reached[value[string](b, focus+` || ""`)] = true
	}
	for _, want := range []string{"Tutorial", "Configuration", "Operations"} {
		if !reached[want] {
			t.Errorf("Tab does not reach %q, but %v", want, reached)
		}
	}
}
