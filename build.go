package kargo

// Build is an image to build, and its build context.
type Build struct {
	Name string
	// Files are the context, by path; Dockerfile is the path of one of them.
	Files      map[string]File
	Dockerfile string
	Args       map[string]string
	// Tags are the names of the image: "registry.example/mapserver:8.6".
	Tags []string
	// Push sends each tag to its registry.
	Push bool
	// Pull asks for the newest base images, even where there are some.
	Pull bool
	// Cache allows the use of layers of earlier builds.
	Cache bool
}
