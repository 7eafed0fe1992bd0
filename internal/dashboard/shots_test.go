package dashboard_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/chromedp/chromedp"
)

// shotsEnv names a folder that keeps the screenshots, to be looked at. With it
// every view is drawn in every size, light and dark; without it, as much as may
// be too wide.
const shotsEnv = "NUTHATCH_SHOTS"

// TestScreenshots draws the views in three widths, light and dark. None may be
// wider than its screen.
func TestScreenshots(t *testing.T) {
	f := startFixture(t, 24)
	f.ill = map[int]string{3: "ejected", 11: "disabled", 17: "probing"}
	dir := os.Getenv(shotsEnv)
	all := dir != ""
	if !all {
		dir = t.TempDir()
	}
	for _, scheme := range []string{"light", "dark"} {
		b := open(t, f.url, 1440, scheme)
		b.await("the first figures", `document.querySelectorAll(".map button").length === 24`)
		if all {
			b.await("two minutes of samples", `parseFloat(document.querySelector(".plot .line").getAttribute("d").slice(1)) < 64`)
		}
		for _, width := range []int64{360, 768, 1440} {
			b.size(width, 900)
			for _, view := range views {
				if all || scheme == "light" && (width == 360 || view == "overview") || view == "servers" || view == "events" {
					b.view(view)
					b.shoot(filepath.Join(dir, fmt.Sprintf("%s-%d-%s.png", view, width, scheme)))
					if wide := value[int64](b, "document.documentElement.scrollWidth"); wide > width {
						t.Errorf("%s at %d: the page is %d wide", view, width, wide)
					}
					if texts := value[string](b, cut); texts != "" {
						t.Errorf("%s at %d: these are cut: %s", view, width, texts)
					}
					if texts := value[string](b, cutPlaceholders); texts != "" {
						t.Errorf("%s at %d: what stands in these fields is cut: %s", view, width, texts)
					}
				}
			}
		}
	}
}

// cut are the names of servers, and the events, of which a part cannot be read: names of one pool
// often differ at their ends alone, and an event ends with its cause.
const cut = `[...document.querySelectorAll(".view-servers .open .name, .view-keys td.wraps, .view-events .lines")]
	.filter((e) => e.checkVisibility() && (e.scrollWidth > e.clientWidth || e.scrollHeight > e.clientHeight + 1)).map((e) => e.textContent).join()`

// cutPlaceholders are the texts of empty fields that their fields have no room for.
const cutPlaceholders = `[...document.querySelectorAll("input[placeholder]")].filter((e) => {
	const style = getComputedStyle(e), pen = document.createElement("canvas").getContext("2d");
	pen.font = style.font;
	return e.checkVisibility() && pen.measureText(e.placeholder).width > e.clientWidth - parseFloat(style.paddingLeft) - parseFloat(style.paddingRight);
}).map((e) => e.placeholder).join()`

// shoot writes the whole page to a PNG file.
func (b *tab) shoot(name string) {
	b.t.Helper()
	image, err := chromedp.Run(b.ctx, chromedp.FullScreenshot(100))
	if err == nil {
		err = os.WriteFile(name, image, 0o600)
	}
	if err != nil {
		b.t.Fatal(err)
	}
}
