package dashboard_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"nuthatch/internal/testkit"
)

// chromium is the browser that all tests of the package share, each in a tab of
// its own.
var chromium struct {
	once sync.Once
	ctx  context.Context
	end  func()
	err  error
}

func TestMain(m *testing.M) {
	code := testkit.Main(m)
	if chromium.end != nil {
		chromium.end()
	}
	os.Exit(code)
}

// startChromium starts the browser with a fresh profile, and nothing that asks
// for anything by itself.
func startChromium() {
	path := ""
	for _, name := range []string{"chromium", "google-chrome"} {
		if found, err := exec.LookPath(name); err == nil {
			path = found
			break
		}
	}
	if path == "" {
		chromium.err = fmt.Errorf("chromium is not installed: make deps")
		return
	}
	profile, err := os.MkdirTemp("", "nuthatch-chromium")
	if err != nil {
		chromium.err = err
		return
	}
	flags := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path), chromedp.UserDataDir(profile), chromedp.NoSandbox, chromedp.DisableGPU, chromedp.NoFirstRun,
		chromedp.Flag("disable-background-networking", true), chromedp.Flag("disable-component-update", true),
		chromedp.Flag("disable-sync", true), chromedp.Flag("disable-quic", true),
	)
	alloc, endAlloc := chromedp.NewExecAllocator(context.Background(), flags...)
	ctx, endBrowser := chromedp.NewContext(alloc)
	chromium.ctx = ctx
	chromium.end = func() {
		endBrowser()
		endAlloc()
		_ = os.RemoveAll(profile)
	}
	chromium.err = chromedp.Do(ctx)
}

// tab is one page in the browser. What it says on its console, throws, is
// refused by its policy or asks of another host fails the test.
type tab struct {
	t   testing.TB
	ctx context.Context
	own string // what every request's address begins with

	mu     sync.Mutex
	faults []string
	// expected are parts of faults that the test causes.
	expected []string
}

// open shows the page at url, as wide as told, light or dark.
func open(t testing.TB, url string, width int64, scheme string, expected ...string) *tab {
	t.Helper()
	chromium.once.Do(startChromium)
	if chromium.err != nil {
		t.Fatal(chromium.err)
	}
	ctx, end := chromedp.NewContext(chromium.ctx)
	ctx, cancel := context.WithTimeout(ctx, 3*testkit.Patience)
	b := &tab{t: t, ctx: ctx, own: strings.TrimRight(strings.SplitN(url, "#", 2)[0], "/"), expected: expected}
	t.Cleanup(func() {
		cancel()
		end()
		b.mu.Lock()
		defer b.mu.Unlock()
		for _, fault := range b.faults {
			t.Error(fault)
		}
	})
	if err := chromedp.Listen(ctx, b.hear); err != nil {
		t.Fatal(err)
	}
	call(b, log.Enable, cdp.Empty{})
	call(b, network.Enable, network.EnableParams{})
	call(b, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{Source: hurry})
	call(b, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{
		{Name: "prefers-color-scheme", Value: scheme}, {Name: "prefers-reduced-motion", Value: "reduce"},
	}})
	b.size(width, 900)
	if err := chromedp.Do(ctx, chromedp.Navigate(url)); err != nil {
		t.Fatal(err)
	}
	return b
}

// hurry makes the page wait a twentieth of the time that it means to.
const hurry = `{ const real = setTimeout; window.setTimeout = (f, ms) => real(f, ms / 20); }`

// call runs a command of the DevTools protocol.
func call[P, R any](b *tab, command cdp.Command[P, R], params P) {
	b.t.Helper()
	if _, err := chromedp.Call(b.ctx, command, params); err != nil {
		b.t.Fatal(err)
	}
}

// size makes the screen another size.
func (b *tab) size(width, height int64) {
	b.t.Helper()
	call(b, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{
		Width: width, Height: height, DeviceScaleFactor: 1, Mobile: width < 500,
	})
}

// hear notes what must not happen.
func (b *tab) hear(event any) {
	fault := ""
	switch e := event.(type) {
	case *runtime.EventConsoleAPICalled:
		if e.Type == runtime.ConsoleAPICalledTypeError || e.Type == runtime.ConsoleAPICalledTypeWarning {
			fault = fmt.Sprintf("console: %s", e.Args[0].Value)
		}
	case *runtime.EventExceptionThrown:
		fault = "exception: " + e.ExceptionDetails.Text
		if thrown := e.ExceptionDetails.Exception; thrown != nil {
			fault += " " + thrown.Description
		}
	case *log.EventEntryAdded:
		if e.Entry.Level == log.EntryLevelError || e.Entry.Level == log.EntryLevelWarning {
			fault = fmt.Sprintf("console: %s %s", e.Entry.Text, e.Entry.URL)
		}
	case *network.EventRequestWillBeSent:
		if !strings.HasPrefix(e.Request.URL, b.own) {
			fault = "request to elsewhere: " + e.Request.URL
		}
	}
	if fault == "" {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, part := range b.expected {
		if strings.Contains(fault, part) {
			return
		}
	}
	b.faults = append(b.faults, fault)
}

// value evaluates JavaScript in the page.
func value[T any](b *tab, js string) T {
	b.t.Helper()
	v, err := chromedp.Run(b.ctx, chromedp.Evaluate[T](js))
	if err != nil {
		b.t.Fatalf("%s: %v", js, err)
	}
	return v
}

// do evaluates JavaScript for its effect.
func (b *tab) do(js string) {
	b.t.Helper()
	value[bool](b, "("+js+", true)")
}

// await waits until a JavaScript expression is true in the page.
func (b *tab) await(what, js string) {
	b.t.Helper()
	testkit.Await(b.t, what, func() error {
		ok, err := chromedp.Run(b.ctx, chromedp.Evaluate[bool]("Boolean("+js+")"))
		if err != nil {
			return err
		}
		if !ok {
			shown, _ := chromedp.Run(b.ctx, chromedp.Evaluate[string]("document.body.innerText.slice(0, 1500)"))
			return fmt.Errorf("the page shows:\n%s", shown)
		}
		return nil
	})
}

// text is what an element shows.
func (b *tab) text(selector string) string {
	b.t.Helper()
	return value[string](b, fmt.Sprintf("document.querySelector(%q).innerText", selector))
}

// key presses keys.
func (b *tab) key(keys string) {
	b.t.Helper()
	if err := chromedp.Do(b.ctx, chromedp.KeyEvent(keys)); err != nil {
		b.t.Fatal(err)
	}
}

// views are the page's, from left to right.
var views = []string{"overview", "servers", "clients", "keys", "slowlog", "where", "config", "denials", "events"}

// view goes to a view and waits until it shows something.
func (b *tab) view(name string) {
	b.t.Helper()
	b.do(fmt.Sprintf("location.hash = %q", name))
	content := map[string]string{
		"overview": ".vitals", "servers": "tbody .open", "clients": "tbody .mono", "keys": "tbody .mono", "slowlog": "tbody .split",
		"where": "form.where", "config": ".settings", "denials": "tbody th", "events": "tbody th",
	}[name]
	b.await("view "+name, fmt.Sprintf(`document.querySelector(".view-%s:not([hidden])")?.querySelector(%q)`, name, content))
}

// press presses one key as a keyboard does: if the page takes the key for a
// command it is not typed. What key sends is typed in any case.
func (b *tab) press(key string) {
	b.t.Helper()
	call(b, input.DispatchKeyEvent, input.DispatchKeyEventParams{Type: input.DispatchKeyEventTypeKeyDown, Key: key, Text: key})
	call(b, input.DispatchKeyEvent, input.DispatchKeyEventParams{Type: input.DispatchKeyEventTypeKeyUp, Key: key})
}
