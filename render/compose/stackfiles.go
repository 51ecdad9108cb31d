package compose

import (
	"path"
	"slices"
	"strings"

	"kargo"
	"kargo/render/view"
	"kargo/spelling"
)

// readFiles reads the files of the stack in order: those of its directory, or
// those of its entries.
func readFiles(s *reading) {
	if directory, isOne := s.ws.Directory(); isOne {
		readDirectory(s, directory)
	} else {
		readEntries(s)
	}
	s.tree.startWith(s.files)
}

// readDirectory reads the files of a stack directory, then its constraints.
func readDirectory(s *reading, directory view.Directory) {
	for _, file := range directory.Files {
		if f := parse(s.report, file, s.stack, s.tree.Get(file).Data); f != nil {
			applyTags(s.files, f)
			s.files = append(s.files, f)
		}
	}
	if f := constraintFile(s, s.stack, slices.Clone(s.files)); f != nil {
		s.files = append(s.files, f)
	}
}

// readEntries reads for each entry its own file, then its extension, then its
// constraints.
func readEntries(s *reading) {
	listed := s.ws.PlaceOf(kargo.SuffixStack.Of(s.stack))
	extensions := map[string]string{}
	for _, entry := range s.entries {
		var own []*File
		if f := readFile(s, entry, entry, listed); f != nil {
			own = append(own, f)
		}
		variable := kargo.SuffixExtension.Of(entry)
		at := s.ws.PlaceOf(variable)
		if other, taken := extensions[variable]; taken && s.ws.Value(variable) != "" {
			s.report.Warn(at, "", "services %q and %q share the variable %s", other, entry, variable)
		}
		extensions[variable] = entry
		if name := strings.TrimSpace(s.ws.Value(variable)); name != "" {
			if f := readFile(s, entry, name, at); f != nil {
				own = append(own, f)
			}
		}
		checkOverlap(s, entry, own)
		if f := constraintFile(s, entry, own); f != nil {
			s.files = append(s.files, f)
		}
	}
}

// readFile reads deploy/<name>.yml for an entry and puts it above the files
// read so far. listed is the place that names the file.
func readFile(s *reading, entry, name string, listed kargo.Place) *File {
	file := path.Join("deploy", name+".yml")
	content, ok := s.ws.File(file)
	if !ok || path.Clean(name) != name {
		s.report.Fail(listed, fileHint(s.ws, name), "stack %q: there is no file deploy/%s.yml", s.stack, name)
		return nil
	}
	if other := "deploy/" + name + ".yaml"; s.tree.Get(other).Data != nil {
		s.report.Warn(kargo.Place{File: other}, "remove one of the two", "is not read: %s counts", file)
	}
	f := parse(s.report, file, entry, content.Data)
	if f == nil {
		return nil
	}
	applyTags(s.files, f)
	s.files = append(s.files, f)
	return f
}

// formerServices left the catalogue, or were renamed there.
var formerServices = map[string]string{
	"mongo": "mongodb", "vigicrues-stations": "vigicrues", "vigicrues-observations": "vigicrues", "vigicrues-sections": "vigicrues",
	"atlas-admin-express": "", "cesiumterrainserver": "", "elasticsearch": "", "geoserver": "", "gravitee": "", "mapproxy": "",
	"mgob": "", "nextcloud": "", "portainer": "", "seafile": "", "seeder": "",
}

// fileHint helps with a name that has no file.
func fileHint(ws view.View, name string) string {
	if _, ok := ws.File("deploy/" + name + ".yaml"); ok {
		return "deploy/" + name + ".yaml is there: rename it to " + name + ".yml"
	}
	if _, ok := ws.File("deploy/" + name + ".yml.tpl"); ok {
		return "deploy/" + name + ".yml.tpl is a template for a hook, which would write the file"
	}
	if now, former := formerServices[name]; former {
		if now == "" {
			return "the catalogue no longer has it; add a deploy/" + name + ".yml of your own"
		}
		return "it is now called " + now
	}
	var known []string
	for _, file := range ws.FileNames() {
		if base, ok := strings.CutSuffix(file, ".yml"); ok {
			if base, ok := strings.CutPrefix(base, "deploy/"); ok {
				known = append(known, base)
			}
		}
	}
	return spelling.DidYouMean(name, known)
}

// checkOverlap warns of services that the files of two entries define: Docker
// merges the definitions, which is seldom meant.
func checkOverlap(s *reading, entry string, own []*File) {
	for _, f := range own {
		for _, name := range f.ServiceNames() {
			for _, earlier := range s.files {
				if earlier.Entry != entry && !earlier.Generated() && earlier.Defines(name) {
					s.report.Warn(f.At("services", name), "", "%q is defined in %s too; the two are merged", name, earlier.Path)
					break
				}
			}
		}
	}
}
