package compose

import (
	"cmp"
	"path"
	"slices"
	"strings"

	"kargo"
	"kargo/render/view"
	"kargo/spelling"
)

// readFiles reads the files of the stack in order: those of its directory, or
// those that its entries name.
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

// readEntries reads the compose files of the entries, and above the last file of
// each entry its constraints.
func readEntries(s *reading) {
	warnOfSharedExtensions(s)
	own, defining, last := map[string][]*File{}, map[string][]*File{}, map[string]int{}
	for i, file := range s.listed {
		last[file.Entry] = i
	}
	for i, file := range s.listed {
		if f := readFile(s, file); f != nil {
			own[file.Entry] = append(own[file.Entry], f)
			for _, service := range f.ServiceNames() {
				defining[service] = append(defining[service], f)
			}
		}
		if i < last[file.Entry] {
			continue
		}
		checkOverlap(s, own[file.Entry], defining)
		if f := constraintFile(s, file.Entry, own[file.Entry]); f != nil {
			s.files = append(s.files, f)
		}
	}
}

// warnOfSharedExtensions warns of entries that have the same variable, and so the
// same extension.
func warnOfSharedExtensions(s *reading) {
	entries := map[string]string{}
	for _, file := range s.listed {
		variable := kargo.SuffixExtension.Of(file.Entry)
		if other, taken := entries[variable]; taken && other != file.Entry && s.ws.Value(variable) != "" {
			s.report.Warn(s.ws.PlaceOf(variable), "", "services %q and %q share the variable %s", other, file.Entry, variable)
		}
		entries[variable] = file.Entry
	}
}

// readFile reads a compose file of an entry and puts it above the files read so
// far.
func readFile(s *reading, file kargo.ComposeFile) *File {
	content, ok := s.ws.File(file.Path)
	if !ok {
		variable := kargo.SuffixStack.Of(s.stack)
		s.report.Fail(file.Named, cmp.Or(kargo.ListHint(variable, s.ws.Value(variable)), fileHint(s.ws, file.Path)), "stack %q: there is no file %s", s.stack, file.Path)
		return nil
	}
	if base, isUsual := strings.CutSuffix(file.Path, ".yml"); isUsual && s.tree.Get(base+".yaml").Data != nil {
		s.report.Warn(kargo.Place{File: base + ".yaml"}, "remove one of the two", "is not read: %s counts", file.Path)
	}
	f := parse(s.report, file.Path, file.Entry, content.Data)
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

// plainName returns the name of a service that is written as its file.
func plainName(name string) string {
	name = strings.TrimPrefix(path.Clean(name), "deploy/")
	return strings.TrimSuffix(strings.TrimSuffix(name, ".yml"), ".yaml")
}

// fileHint helps with a path that has no file.
func fileHint(ws view.View, file string) string {
	name := strings.TrimSuffix(strings.TrimPrefix(file, "deploy/"), ".yml")
	if plain := plainName(name); plain != name && !strings.Contains(plain, "..") {
		const added = ": deploy/ and .yml are added to the name"
		if _, ok := ws.File("deploy/" + plain + ".yml"); ok {
			return "write " + plain + added
		}
		return cmp.Or(fileHint(ws, "deploy/"+plain+".yml"), "write "+plain+added)
	}
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
// merges the definitions, which is seldom meant. The files that define each service so
// far are those of defining.
func checkOverlap(s *reading, own []*File, defining map[string][]*File) {
	for _, f := range own {
		for _, name := range f.ServiceNames() {
			for _, earlier := range defining[name] {
				if earlier.Entry != f.Entry && earlier.Defines(name) {
					s.report.Warn(f.At("services", name), "", "%q is defined in %s too; the two are merged", name, earlier.Path)
					break
				}
			}
		}
	}
}
