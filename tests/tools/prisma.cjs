// Do what `prisma migrate deploy` does, with Prisma's engine: node prisma.cjs URL FOLDER
const fs = require("node:fs");
const path = require("node:path");
const { pathToFileURL } = require("node:url");
const { PrismaPg } = require("@prisma/adapter-pg");
const { bindMigrationAwareSqlAdapterFactory } = require("@prisma/driver-adapter-utils");

// The package is made for bundlers, which load WebAssembly by `import`.
async function loadEngine() {
  const glue = require.resolve("@prisma/schema-engine-wasm/schema_engine_bg");
  const engine = await import(pathToFileURL(glue));
  const code = fs.readFileSync(path.join(path.dirname(glue), "schema_engine_bg.wasm"));
  const { instance } = await WebAssembly.instantiate(code, { "./schema_engine_bg.js": engine });
  engine.__wbg_set_wasm(instance.exports);
  instance.exports.__wbindgen_start();
  return engine.SchemaEngine;
}

async function main([connectionString, baseDir]) {
  const SchemaEngine = await loadEngine();
  const adapter = bindMigrationAwareSqlAdapterFactory(new PrismaPg({ connectionString }));
  const schema = 'datasource db {\n  provider = "postgresql"\n}\n';
  const engine = await SchemaEngine.new({ datamodels: [["a.prisma", schema]] }, () => {}, adapter);
  const read = (name) => fs.readFileSync(path.join(baseDir, name), "utf8");
  const migrationDirectories = fs
    .readdirSync(baseDir, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map((entry) => entry.name)
    .sort()
    .map((name) => ({
      path: name,
      migrationFile: {
        path: "migration.sql",
        content: { tag: "ok", value: read(`${name}/migration.sql`) },
      },
    }));
  const lockfile = { path: "migration_lock.toml", content: read("migration_lock.toml") };
  const { appliedMigrationNames } = await engine.applyMigrations({
    migrationsList: { baseDir, lockfile, shadowDbInitScript: "", migrationDirectories },
    filters: { externalTables: [], externalEnums: [] },
  });
  console.log(appliedMigrationNames.join("\n"));
  process.exit(0);
}

main(process.argv.slice(2)).catch((error) => {
  console.error(error);
  process.exit(1);
});
