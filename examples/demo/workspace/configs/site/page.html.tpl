<!doctype html>
<html lang="en">
<title>${SITE_TITLE}</title>
<h1>${SITE_TITLE}</h1>
<p>Rendered from configs/site/page.html.tpl with the variables of .env.</p>
</html>
