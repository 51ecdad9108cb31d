package render

import (
	"regexp"
	"slices"

	"github.com/distribution/reference"
	"github.com/docker/cli/cli/compose/convert"
	"github.com/docker/cli/cli/compose/types"
	"github.com/docker/docker/api/types/swarm"

	"kargo"
)

// apiVersion is the oldest Docker API that Kargo speaks (Docker 20.10). The
// converter asks for it to choose between old and new fields.
const apiVersion = "1.41"

// serviceName is what Swarm takes for a service's name, besides its length.
var serviceName = regexp.MustCompile(`^[a-zA-Z0-9](?:[-_]*[A-Za-z0-9]+)*$`)

const maxServiceName = 63

// convert makes service specs of the configuration, and the configs that they
// use, both in order of name.
func (w *work) convert(config *types.Config) ([]kargo.Service, []kargo.Config) {
	objects := w.objects
	var services []kargo.Service
	for _, service := range config.Services {
		name := w.namespace + "_" + service.Name
		w.places[name] = w.place("services", service.Name)
		w.services[service.Name] = true
		w.checkService(config, name, service)
		spec, ok := w.spec(config, objects, service)
		if !ok {
			continue
		}
		w.labelFiles(service.Name, &spec)
		w.checkLimits(service, spec)
		w.checkReplicas(service, spec.Mode)
		services = append(services, kargo.Service{Name: name, Spec: spec, Needs: w.serviceNeeds(config, service)})
	}
	return services, objects.used()
}

// checkService refuses what Swarm would refuse half way through a deployment.
func (w *work) checkService(config *types.Config, name string, service types.ServiceConfig) {
	at := w.places[name]
	if !serviceName.MatchString(name) || len(name) > maxServiceName {
		w.fail(at, "a name has at most 63 letters, digits, - and _", "%s cannot be the name of a Swarm service", name)
	}
	if service.Image == "" {
		w.fail(at, w.nearService(config, service.Name), "services.%s has no image", service.Name)
	} else if _, err := reference.ParseAnyReference(service.Image); err != nil {
		w.fail(w.place("services", service.Name, "image"), "", "services.%s.image: %q: %s", service.Name, service.Image, err)
	}
}

// nearService is a hint for an extension that misspells what it extends.
func (w *work) nearService(config *types.Config, name string) string {
	var others []string
	for _, other := range config.Services {
		if other.Image != "" {
			others = append(others, other.Name)
		}
	}
	return kargo.DidYouMean(name, others)
}

// spec converts one service.
func (w *work) spec(config *types.Config, objects *objects, service types.ServiceConfig) (swarm.ServiceSpec, bool) {
	secrets := objects.secretReferences(service)
	configs := objects.configReferences(&service)
	files := objects.bringFiles(&service)
	secrets, configs = append(secrets, files.secrets...), append(configs, files.configs...)
	spec, err := convert.Service(apiVersion, convert.NewNamespace(w.namespace), service,
		config.Networks, config.Volumes, secrets, configs)
	if err != nil {
		w.blameConversion(service, err)
		return swarm.ServiceSpec{}, false
	}
	for _, config := range configs {
		config.ConfigID = "" // it only carried the name through the converter
	}
	return spec, true
}

// Errors of the converter, and the property that they are about.
var conversionErrors = []struct {
	pattern  *regexp.Regexp
	property []string
}{
	{regexp.MustCompile(`^undefined network "(.*)"$`), []string{"networks"}},
	{regexp.MustCompile(`^undefined volume "(.*)"$`), []string{"volumes"}},
	{regexp.MustCompile(`volume|bind|tmpfs|npipe|cluster|image options`), []string{"volumes"}},
	{regexp.MustCompile(`^test and disable`), []string{"healthcheck"}},
	{regexp.MustCompile(`replicas can only`), []string{"deploy", "replicas"}},
	{regexp.MustCompile(`^Unknown mode`), []string{"deploy", "mode"}},
	{regexp.MustCompile(`credential spec`), []string{"credential_spec"}},
	{regexp.MustCompile(`restart policy`), []string{"restart"}},
	{regexp.MustCompile(`(?i)cpu|rational|precise`), []string{"deploy", "resources"}},
}

// blameConversion reports an error of the converter at the property it is
// about.
func (w *work) blameConversion(service types.ServiceConfig, err error) {
	path := []string{"services", service.Name}
	for _, known := range conversionErrors {
		if match := known.pattern.FindStringSubmatch(err.Error()); match != nil {
			path = append(path, known.property...)
			if len(match) > 1 {
				path = append(path, match[1])
			}
			break
		}
	}
	at := w.place(path...)
	if slices.Contains(path, "volumes") {
		at = w.volumePlace(service.Name, path)
	}
	w.fail(at, "", "services.%s: %s", service.Name, oneLine(err.Error()))
}
