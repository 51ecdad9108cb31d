package server

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"path"
	"strings"
	"sync"
)

// kinds are the types of the files that are served beside the pages. Files of
// another kind are not served.
var kinds = map[string]string{
	".css": "text/css; charset=utf-8",
	".js":  "text/javascript; charset=utf-8",
	".svg": "image/svg+xml",
	".txt": "text/plain; charset=utf-8",
}

// staticFile is one file as it is served.
type staticFile struct {
	kind, tag    string
	text, packed []byte
}

// staticFiles returns the files by name, each compressed once.
var staticFiles = sync.OnceValue(func() map[string]staticFile {
	files := map[string]staticFile{}
	for _, dir := range []string{"page", "page/vendor"} {
		entries, err := pageFiles.ReadDir(dir)
		if err != nil {
			panic(err) // it is embedded
		}
		for _, entry := range entries {
			kind := kinds[path.Ext(entry.Name())]
			if kind == "" {
				continue
			}
			text, err := pageFiles.ReadFile(path.Join(dir, entry.Name()))
			if err != nil {
				panic(err)
			}
			sum := sha256.Sum256(text)
			files[entry.Name()] = staticFile{kind, `"` + hex.EncodeToString(sum[:8]) + `"`, text, compressed(text)}
		}
	}
	return files
})

// serveStatic serves what pages need beside their text. It is the same in every
// installation of a version, so it needs no token, and a browser may keep it as long
// as it asks whether it is still the same.
func serveStatic(w http.ResponseWriter, r *http.Request) {
	file, found := staticFiles()[strings.TrimPrefix(r.URL.Path, "/static/")]
	if !found {
		notFound(w, r)
		return
	}
	header := w.Header()
	header.Set("Cache-Control", "no-cache")
	header.Set("ETag", file.tag)
	header.Set("Content-Type", file.kind)
	header.Add("Vary", "Accept-Encoding")
	if r.Header.Get("If-None-Match") == file.tag {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	text := file.text
	if takesGzip(r) {
		text = file.packed
		header.Set("Content-Encoding", "gzip")
	}
	_, _ = w.Write(text) // the client has gone
}
