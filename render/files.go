package render

import (
	"path"
	"slices"
	"strings"

	"kargo"
)

// readLayers reads the files of all services of the stack in order: for each
// service its own file, then its extension, then its constraints.
func (w *work) readLayers() {
	variable := kargo.SuffixStack.Of(w.name)
	extensions := map[string]string{}
	for _, service := range w.serviceList(w.name) {
		w.files[service] = true
		var own []*layer
		if l := w.readLayer(service, service, w.variable(variable)); l != nil {
			own = append(own, l)
		}
		extension := kargo.SuffixExtension.Of(service)
		if other, taken := extensions[extension]; taken && w.ws.Env[extension] != "" {
			w.warn(w.variable(extension), "", "services %q and %q share the variable %s", other, service, extension)
		}
		extensions[extension] = service
		if name := strings.TrimSpace(w.ws.Env[extension]); name != "" {
			if l := w.readLayer(service, name, w.variable(extension)); l != nil {
				own = append(own, l)
			}
		}
		w.checkOverlap(service, own)
		if l := w.constraintLayer(service, own); l != nil {
			w.layers = append(w.layers, l)
		}
	}
}

// readLayer reads deploy/<name>.yml for a service and puts it above the layers
// read so far; listed is where the file was asked for.
func (w *work) readLayer(service, name string, listed kargo.Place) *layer {
	file := path.Join("deploy", name+".yml")
	content, ok := w.ws.Files[file]
	if !ok || path.Clean(name) != name {
		w.fail(listed, w.fileHint(name), "stack %q: there is no file deploy/%s.yml", w.name, name)
		return nil
	}
	l := w.parse(file, service, content.Data)
	if l == nil {
		return nil
	}
	w.applyTags(l)
	w.layers = append(w.layers, l)
	return l
}

// fileHint helps with a name that has no file.
func (w *work) fileHint(name string) string {
	if _, ok := w.ws.Files["deploy/"+name+".yml.tpl"]; ok {
		return "deploy/" + name + ".yml.tpl is raw material for a hook, which would write the file"
	}
	if now, former := formerServices[name]; former {
		if now == "" {
			return "it is not in the catalogue any more; bring a deploy/" + name + ".yml of your own"
		}
		return "it is called " + now + " now"
	}
	var known []string
	for file := range w.ws.Files {
		if base, ok := strings.CutSuffix(file, ".yml"); ok {
			if base, ok := strings.CutPrefix(base, "deploy/"); ok {
				known = append(known, base)
			}
		}
	}
	slices.Sort(known)
	return kargo.DidYouMean(name, known)
}

// checkOverlap warns of compose services that files of two services define:
// the definitions merge, which is seldom meant.
func (w *work) checkOverlap(service string, own []*layer) {
	for _, l := range own {
		for _, name := range l.serviceNames() {
			for _, earlier := range w.layers {
				if earlier.service != service && !earlier.generated() && earlier.services()[name] != nil {
					w.warn(l.at("services", name), "", "%q is defined in %s too; the two are merged", name, earlier.path)
					break
				}
			}
		}
	}
}
