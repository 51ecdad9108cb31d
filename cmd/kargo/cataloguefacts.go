package main

import (
	"archive/zip"
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/docker/docker/api/types/mount"
	"github.com/docker/docker/api/types/swarm"
	"github.com/spf13/cobra"

	"kargo"
	"kargo/compile"
	"kargo/docs"
	"kargo/pattern"
)

// catalogueList is the document that catalogue prints as JSON. Other programs
// read it, so its form must not change.
type catalogueList struct {
	Version  string             `json:"version"`
	Services []catalogueService `json:"services"`
}

type catalogueService struct {
	Name    string `json:"name"`
	Group   string `json:"group,omitempty"`
	Summary string `json:"summary,omitempty"`
	Text    string `json:"text,omitempty"`
	Needs   struct {
		Variables   []string `json:"variables,omitempty"`   // that have no default
		Services    []string `json:"services,omitempty"`    // of the catalogue
		Constraints []string `json:"constraints,omitempty"` // on nodes
		Volumes     []string `json:"volumes,omitempty"`
		Directories []string `json:"directories,omitempty"` // of the node
		Networks    []string `json:"networks,omitempty"`
	} `json:"needs"`
	Offers struct {
		Ports   []string `json:"ports,omitempty"`
		Routes  []string `json:"routes,omitempty"`
		Metrics []string `json:"metrics,omitempty"`
	} `json:"offers"`
	Images    []string            `json:"images"`
	Variables []catalogueVariable `json:"variables"`
}

type catalogueVariable struct {
	Name     string `json:"name"`
	Default  string `json:"default,omitempty"`
	Required bool   `json:"required,omitempty"`
	Meaning  string `json:"meaning,omitempty"`
}

// catalogue describes every service of the catalogue. The texts come from the
// guide. What the services need and offer comes from their own rendering, so it
// is right for another catalogue (--defaults), too.
func (s *catalogueFlags) catalogue(cmd *cobra.Command, env map[string]string) (catalogueList, error) {
	if err := s.prepare(cmd, env); err != nil {
		return catalogueList{}, err
	}
	compiler, err := (&workspaceFlags{program: s.program, compileFlags: compileFlags{defaultsFlag: s.defaultsFlag}}).compiler()
	if err != nil {
		return catalogueList{}, err
	}
	return describeCatalogue(cmd.Context(), compiler)
}

func describeCatalogue(ctx context.Context, compiler compile.Compiler) (catalogueList, error) {
	compiler.Root, compiler.Workspace = "/catalogue/.kargo", "/catalogue" // nothing is written
	guide := docs.Catalogue()
	names, err := catalogueNames(compiler.Defaults, guide)
	if err != nil {
		return catalogueList{}, err
	}
	desired, err := renderAlone(ctx, compiler, guide, names)
	if err != nil {
		return catalogueList{}, err
	}
	list := catalogueList{Version: compiler.Catalogue, Services: []catalogueService{}}
	for _, name := range names {
		d := describer{guide: guide, files: desired.Workspace.Files, env: desired.Workspace.Env, names: names}
		list.Services = append(list.Services, d.describe(name, desired.Stacks))
	}
	return list, nil
}

// catalogueNames returns the services of a catalogue in the order of the guide.
func catalogueNames(defaults fs.FS, guide docs.Guide) ([]string, error) {
	entries, err := fs.ReadDir(defaults, "deploy")
	if err != nil {
		return nil, &kargo.Error{Fault: kargo.Invalid, Err: fmt.Errorf("read the catalogue: %w", err)}
	}
	rank := func(name string) int {
		i := slices.IndexFunc(guide.Services, func(s docs.Service) bool { return s.Name == name })
		if i < 0 {
			return len(guide.Services)
		}
		return i
	}
	var names []string
	for _, entry := range entries {
		name, isService := strings.CutSuffix(strings.TrimSuffix(entry.Name(), ".tpl"), ".yml")
		if isService && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	slices.SortStableFunc(names, func(a, b string) int { return rank(a) - rank(b) })
	return names, nil
}

// placeholders are values for variables without a default whose form matters.
// Other variables get their own names as values.
var placeholders = map[string]string{"MONGORS_MEMORY_LIMIT": "1G", "AUTH_PASSWORD": "{SHA}"}

// renderAlone renders each service as a stack of its own. Required variables get
// placeholders.
func renderAlone(ctx context.Context, compiler compile.Compiler, guide docs.Guide, names []string) (compile.Desired, error) {
	var env strings.Builder
	for _, variable := range guide.Variables {
		if variable.Required {
			value := variable.Name
			if placeholder, known := placeholders[variable.Name]; known {
				value = placeholder
			}
			fmt.Fprintf(&env, "%s='%s'\n", variable.Name, value)
		}
	}
	fmt.Fprintf(&env, "STACKS='%s'\n", strings.Join(names, " "))
	for _, name := range names {
		fmt.Fprintf(&env, "%s_STACK='%s'\n", kargo.EnvName(name), name)
	}
	files, err := memoryTree(map[string]string{".env": env.String()})
	if err != nil {
		return compile.Desired{}, err
	}
	return compiler.Compile(ctx, kargo.Tree{Revision: kargo.Revision{Commit: "dir-catalogue"}, User: kargo.Files{FS: files}})
}

// memoryTree is a tree of files in memory.
func memoryTree(files map[string]string) (fs.FS, error) {
	var archive bytes.Buffer
	writer := zip.NewWriter(&archive)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		file, err := writer.Create(name)
		if err != nil {
			return nil, err
		}
		if _, err := file.Write([]byte(files[name])); err != nil {
			return nil, err
		}
	}
	if err := writer.Close(); err != nil {
		return nil, err
	}
	return zip.NewReader(bytes.NewReader(archive.Bytes()), int64(archive.Len()))
}

// describer collects what is known about one service.
type describer struct {
	guide docs.Guide
	files map[string]kargo.File
	env   kargo.Environment
	names []string
}

func (d describer) describe(name string, stacks []kargo.Stack) catalogueService {
	service := catalogueService{Name: name, Images: []string{}, Variables: []catalogueVariable{}}
	if i := slices.IndexFunc(d.guide.Services, func(s docs.Service) bool { return s.Name == name }); i >= 0 {
		told := d.guide.Services[i]
		service.Group, service.Summary, service.Text = told.Group, told.Summary, told.Text
		service.Needs.Services = d.mentioned(told.Needs, name)
	}
	var composed []string
	for _, stack := range stacks {
		if stack.Name != name {
			continue
		}
		for _, rendered := range stack.Services {
			composed = append(composed, strings.TrimPrefix(rendered.Name, stack.Namespace()+"_"))
			readSpec(&service, stack.Namespace(), rendered.Spec)
		}
	}
	for _, list := range []*[]string{
		&service.Needs.Constraints, &service.Needs.Volumes, &service.Needs.Directories, &service.Needs.Networks,
		&service.Offers.Ports, &service.Offers.Routes, &service.Offers.Metrics, &service.Images,
	} {
		slices.Sort(*list)
		*list = slices.Compact(*list)
	}
	for _, variable := range d.variables(name, composed) {
		service.Variables = append(service.Variables, variable)
		if variable.Required {
			service.Needs.Variables = append(service.Needs.Variables, variable.Name)
		}
	}
	return service
}

// word matches what may be the name of a service in a sentence.
var word = pattern.Lazy(`[a-z][a-z0-9-]*`)

// mentioned returns the services that a sentence names.
func (d describer) mentioned(sentence, self string) []string {
	var names []string
	for _, name := range word().FindAllString(sentence, -1) {
		if name != self && slices.Contains(d.names, name) && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

var routeHost = pattern.Lazy("Host\\(`([^`]+)`\\)")

// readSpec adds what one rendered service needs and offers.
func readSpec(service *catalogueService, namespace string, spec swarm.ServiceSpec) {
	needs, offers, task := &service.Needs, &service.Offers, spec.TaskTemplate
	service.Images = append(service.Images, task.ContainerSpec.Image)
	if task.Placement != nil {
		for _, constraint := range task.Placement.Constraints {
			needs.Constraints = append(needs.Constraints, strings.ReplaceAll(constraint, " ", ""))
		}
	}
	for _, m := range task.ContainerSpec.Mounts {
		switch m.Type {
		case mount.TypeVolume:
			needs.Volumes = append(needs.Volumes, strings.TrimPrefix(m.Source, namespace+"_"))
		case mount.TypeBind:
			needs.Directories = append(needs.Directories, m.Source)
		}
	}
	for _, network := range task.Networks {
		needs.Networks = append(needs.Networks, network.Target)
	}
	if spec.EndpointSpec != nil {
		for _, port := range spec.EndpointSpec.Ports {
			where := ""
			if port.PublishMode == swarm.PortConfigPublishModeHost {
				where = " of its node"
			}
			offers.Ports = append(offers.Ports, strconv.Itoa(int(port.PublishedPort))+where)
		}
	}
	for label, value := range spec.Labels {
		if host := routeHost().FindStringSubmatch(value); host != nil && strings.HasPrefix(label, "traefik.http.routers.") {
			offers.Routes = append(offers.Routes, "https://"+host[1])
		}
	}
	if job := spec.Labels["prometheus.job"]; job != "" {
		offers.Metrics = append(offers.Metrics, job)
	}
}

var (
	variableUse = pattern.Lazy(`\$\{?([A-Z_][A-Z0-9_]*)(?::\?([^}]*))?`)
	nameInText  = pattern.Lazy(`[A-Z][A-Z0-9_]{3,}`)
	fileUse     = pattern.Lazy(`\./\.\./(configs/\S+)`)
)

// variables returns the variables that a service's file and the templates that it
// mounts read, and those of its placement, with the text of the guide for each.
func (d describer) variables(name string, composed []string) []catalogueVariable {
	text := string(d.files["deploy/"+name+".yml"].Data)
	for _, used := range fileUse().FindAllStringSubmatch(text, -1) {
		text += "\n" + string(d.files[path.Clean(used[1])+".tpl"].Data)
	}
	demanded, read := map[string]bool{}, map[string]bool{}
	for _, use := range variableUse().FindAllStringSubmatch(strings.ReplaceAll(text, "$$", ""), -1) {
		read[use[1]] = true
		for _, name := range nameInText().FindAllString(use[2], -1) {
			demanded[name] = true // "${A:?set A and B}" demands both
		}
	}
	for _, service := range composed {
		if constraints := kargo.SuffixConstraints.Of(service); d.told(constraints) {
			read[constraints] = true
		}
	}
	var variables []catalogueVariable
	for _, told := range d.guide.Variables { // own ones stand together there
		if read[told.Name] {
			variables = append(variables, catalogueVariable{told.Name, told.Default, demanded[told.Name], told.Meaning})
			delete(read, told.Name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(read)) {
		variables = append(variables, catalogueVariable{Name: name, Default: d.env[name], Required: demanded[name]})
	}
	own := kargo.EnvName(name) + "_"
	slices.SortStableFunc(variables, func(a, b catalogueVariable) int {
		return ownFirst(b.Name, own) - ownFirst(a.Name, own)
	})
	return variables
}

func ownFirst(name, prefix string) int {
	if strings.HasPrefix(name, prefix) {
		return 1
	}
	return 0
}

// told reports whether the guide has a variable.
func (d describer) told(name string) bool {
	return slices.ContainsFunc(d.guide.Variables, func(v docs.Variable) bool { return v.Name == name })
}
