package server

import (
	"bytes"
	"compress/gzip"
	"net/http"
	"strings"
)

// sendText sends a text with a status, compressed if the client takes that.
func sendText(w http.ResponseWriter, r *http.Request, status int, kind string, text []byte) {
	header := w.Header()
	header.Set("Content-Type", kind)
	header.Add("Vary", "Accept-Encoding")
	if takesGzip(r) {
		text = compressed(text)
		header.Set("Content-Encoding", "gzip")
	}
	w.WriteHeader(status)
	_, _ = w.Write(text) // the client has gone
}

// takesGzip reports whether a client says that it takes gzip.
func takesGzip(r *http.Request) bool {
	for entry := range strings.SplitSeq(r.Header.Get("Accept-Encoding"), ",") {
		name, quality, _ := strings.Cut(strings.TrimSpace(entry), ";")
		if strings.EqualFold(name, "gzip") && strings.TrimSpace(quality) != "q=0" {
			return true
		}
	}
	return false
}

func compressed(text []byte) []byte {
	var packed bytes.Buffer
	writer := gzip.NewWriter(&packed)
	_, _ = writer.Write(text) // a buffer takes everything
	_ = writer.Close()
	return packed.Bytes()
}
