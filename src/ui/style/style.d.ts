/** The bundler reads style sheets that a module imports. */
declare module "*.css";
