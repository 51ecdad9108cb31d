// Package browser drives a headless Chromium in tests, by the DevTools protocol over
// a pipe: it loads pages, types, waits for what they show, and collects what they
// write to the console.
package browser

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"
)

// Patience is how long a page may take for anything.
const Patience = 30 * time.Second

// Browser is a running Chromium. It ends with the test that started it.
type Browser struct {
	to *os.File

	mu      sync.Mutex
	last    int
	waiting map[int]chan reply
	pages   map[string]*Page // by session
}

type reply struct {
	Result json.RawMessage
	Error  *struct{ Message string }
}

// Start starts Chromium. It fails the test where there is none.
func Start(t testing.TB) *Browser {
	t.Helper()
	binary, err := exec.LookPath("chromium")
	if err != nil {
		t.Fatal("chromium is not installed (apt-get install chromium, or run the tests with -short)")
	}
	in, to, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	from, out, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	command := exec.Command(binary, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
		"--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync",
		"--disable-extensions", "--user-data-dir="+t.TempDir(), "--remote-debugging-pipe", "about:blank")
	command.Env = append(os.Environ(), "HOME="+t.TempDir())
	command.ExtraFiles = []*os.File{in, out} // 3 and 4, by the protocol
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	in.Close()
	out.Close()
	b := &Browser{to: to, waiting: map[int]chan reply{}, pages: map[string]*Page{}}
	read := make(chan struct{})
	go func() {
		defer close(read)
		b.read(bufio.NewReader(from))
	}()
	t.Cleanup(func() {
		if b.call("", "Browser.close", nil, nil) != nil { // its children write until they end
			_ = command.Process.Kill()
		}
		_ = command.Wait()
		to.Close()
		from.Close()
		<-read
	})
	return b
}

// read takes what the browser sends until it ends.
func (b *Browser) read(from *bufio.Reader) {
	for {
		text, err := from.ReadBytes(0)
		if err != nil {
			return
		}
		var message struct {
			ID        int
			Method    string
			SessionID string
			Params    json.RawMessage
			reply
		}
		if json.Unmarshal(text[:len(text)-1], &message) != nil {
			continue
		}
		b.mu.Lock()
		waiting, page := b.waiting[message.ID], b.pages[message.SessionID]
		delete(b.waiting, message.ID)
		b.mu.Unlock()
		switch {
		case waiting != nil:
			waiting <- message.reply
		case page != nil:
			page.note(message.Method, message.Params)
		}
	}
}

var errLate = errors.New("the browser does not answer")

// call calls a method of the protocol and stores its result.
func (b *Browser) call(session, method string, params map[string]any, result any) error {
	answered := make(chan reply, 1)
	b.mu.Lock()
	b.last++
	message := map[string]any{"id": b.last, "method": method, "params": params}
	if session != "" {
		message["sessionId"] = session
	}
	b.waiting[b.last] = answered
	text, err := json.Marshal(message)
	if err == nil {
		_, err = b.to.Write(append(text, 0))
	}
	b.mu.Unlock()
	if err != nil {
		return err
	}
	select {
	case got := <-answered:
		if got.Error != nil {
			return fmt.Errorf("%s: %s", method, got.Error.Message)
		}
		if result == nil {
			return nil
		}
		return json.Unmarshal(got.Result, result)
	case <-time.After(Patience):
		return fmt.Errorf("%s: %w", method, errLate)
	}
}

// Page is one tab with cookies of its own.
type Page struct {
	t       testing.TB
	browser *Browser
	session string

	mu      sync.Mutex
	console []string
}

// Page opens a tab of 1280 by 900 pixels.
func (b *Browser) Page(t testing.TB) *Page {
	t.Helper()
	var in struct{ BrowserContextID string }
	var target struct{ TargetID string }
	var attached struct{ SessionID string }
	err := errors.Join(b.call("", "Target.createBrowserContext", nil, &in),
		b.call("", "Target.createTarget", map[string]any{"url": "about:blank", "browserContextId": in.BrowserContextID}, &target),
		b.call("", "Target.attachToTarget", map[string]any{"targetId": target.TargetID, "flatten": true}, &attached))
	if err != nil {
		t.Fatal(err)
	}
	p := &Page{t: t, browser: b, session: attached.SessionID}
	b.mu.Lock()
	b.pages[p.session] = p
	b.mu.Unlock()
	for _, domain := range []string{"Page", "Runtime", "Log"} {
		p.do(domain+".enable", nil)
	}
	p.do("Emulation.setScrollbarsHidden", map[string]any{"hidden": true}) // they take from the width
	p.Size(1280, 900, "light")
	return p
}

func (p *Page) do(method string, params map[string]any) {
	p.t.Helper()
	if err := p.browser.call(p.session, method, params, nil); err != nil {
		p.t.Fatal(err)
	}
}

// note keeps what the page writes to the console, and what goes wrong in it.
func (p *Page) note(method string, params json.RawMessage) {
	var event struct {
		Type             string
		Args             []struct{ Value, Description any }
		Entry            struct{ Level, Text, URL string }
		ExceptionDetails struct {
			Text      string
			Exception struct{ Description string }
		}
	}
	if json.Unmarshal(params, &event) != nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	switch method {
	case "Runtime.consoleAPICalled":
		p.console = append(p.console, fmt.Sprint(event.Type, ": ", event.Args))
	case "Runtime.exceptionThrown":
		p.console = append(p.console, event.ExceptionDetails.Text+" "+event.ExceptionDetails.Exception.Description)
	case "Log.entryAdded":
		p.console = append(p.console, event.Entry.Level+": "+event.Entry.Text+" "+event.Entry.URL)
	}
}

// Console returns what was written to the console since the last call.
func (p *Page) Console() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	text := strings.Join(p.console, "\n")
	p.console = nil
	return text
}

// Size sets the size of the window, and the colour scheme: light or dark.
func (p *Page) Size(width, height int, scheme string) {
	p.t.Helper()
	p.do("Emulation.setDeviceMetricsOverride", map[string]any{"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false})
	p.do("Emulation.setEmulatedMedia", map[string]any{"features": []map[string]string{{"name": "prefers-color-scheme", "value": scheme}}})
}

// WithoutScripts has the tab run no scripts of the pages that it loads from now on.
func (p *Page) WithoutScripts() {
	p.t.Helper()
	p.do("Emulation.setScriptExecutionDisabled", map[string]any{"value": true})
}

// Open loads a page and waits until it is there.
func (p *Page) Open(url string) {
	p.t.Helper()
	p.do("Page.navigate", map[string]any{"url": url})
	p.Wait(`document.readyState === "complete" && location.href !== "about:blank"`)
}

// evaluate runs an expression and stores what it, or its promise, gives.
func (p *Page) evaluate(expression string, result any) error {
	var got struct {
		Result           struct{ Value json.RawMessage }
		ExceptionDetails *struct{ Exception struct{ Description string } }
	}
	err := p.browser.call(p.session, "Runtime.evaluate", map[string]any{"expression": expression, "awaitPromise": true, "returnByValue": true}, &got)
	switch {
	case err != nil:
		return err
	case got.ExceptionDetails != nil:
		return errors.New(got.ExceptionDetails.Exception.Description)
	case result == nil || got.Result.Value == nil:
		return nil
	}
	return json.Unmarshal(got.Result.Value, result)
}

// Run runs an expression in the page and stores what it gives in result, unless that
// is nil.
func (p *Page) Run(expression string, result any) {
	p.t.Helper()
	if err := p.evaluate(expression, result); err != nil {
		p.t.Fatalf("%s: %v", clip(expression), err)
	}
}

// Text returns the text of the first element that a selector finds.
func (p *Page) Text(selector string) (text string) {
	p.t.Helper()
	p.Run("document.querySelector("+quote(selector)+")?.innerText ?? ''", &text)
	return text
}

// Wait waits until an expression is true. While another page is being loaded, it waits
// for that.
func (p *Page) Wait(expression string) {
	p.t.Helper()
	end := time.Now().Add(Patience)
	poll := time.NewTicker(30 * time.Millisecond)
	defer poll.Stop()
	for {
		is := false
		err := p.evaluate("Boolean("+expression+")", &is)
		if err == nil && is {
			return
		}
		if time.Now().After(end) {
			var text string
			_ = p.evaluate("document.body.innerText", &text)
			p.t.Fatalf("the page does not get there: %s (%v)\n%s", expression, err, text)
		}
		<-poll.C
	}
}

// WaitText waits until the page shows a text.
func (p *Page) WaitText(text string) {
	p.t.Helper()
	p.Wait("document.body.innerText.includes(" + quote(text) + ")")
}

// Click clicks on the first element that a selector finds, as soon as there is one.
func (p *Page) Click(selector string) {
	p.t.Helper()
	p.Wait("document.querySelector(" + quote(selector) + ")")
	p.Run("document.querySelector("+quote(selector)+").click()", nil)
}

// ClickText clicks on the link or button with that text, as soon as there is one.
func (p *Page) ClickText(text string) {
	p.t.Helper()
	found := `[...document.querySelectorAll('a, button, summary')].find(e => e.textContent.trim().replace(/\s+/g, ' ') === ` + quote(text) + `)`
	p.Wait(found)
	p.Run(found+".click()", nil)
}

// Type types a text into the field that a selector finds, as soon as there is one.
func (p *Page) Type(selector, text string) {
	p.t.Helper()
	p.Wait("document.querySelector(" + quote(selector) + ")")
	p.Run("document.querySelector("+quote(selector)+").focus()", nil)
	p.do("Input.insertText", map[string]any{"text": text})
}

// Tab presses the key that moves the focus on, and returns the text of what has it
// then.
func (p *Page) Tab() (text string) {
	p.t.Helper()
	for _, kind := range []string{"keyDown", "keyUp"} {
		p.do("Input.dispatchKeyEvent", map[string]any{"type": kind, "key": "Tab", "code": "Tab", "windowsVirtualKeyCode": 9})
	}
	p.Run("document.activeElement.innerText || document.activeElement.getAttribute('aria-label') || document.activeElement.id", &text)
	return strings.Join(strings.Fields(text), " ")
}

// Picture writes the whole page to a PNG file.
func (p *Page) Picture(file string) {
	p.t.Helper()
	var got struct{ Data string }
	if err := p.browser.call(p.session, "Page.captureScreenshot", map[string]any{"captureBeyondViewport": true}, &got); err != nil {
		p.t.Fatal(err)
	}
	picture, err := base64.StdEncoding.DecodeString(got.Data)
	if err == nil {
		err = os.WriteFile(file, picture, 0o644)
	}
	if err != nil {
		p.t.Fatal(err)
	}
}

func quote(text string) string {
	quoted, _ := json.Marshal(text) // a string can always be written
	return string(quoted)
}

func clip(text string) string {
	if len(text) > 200 {
		return text[:200] + "…"
	}
	return text
}
