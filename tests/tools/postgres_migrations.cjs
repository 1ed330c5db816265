// Run postgres-migrations, and print what it has applied: node postgres_migrations.cjs URL FOLDER
const { migrate } = require("postgres-migrations");
const { Client } = require("pg");

async function main([connectionString, folder]) {
  const client = new Client({ connectionString });
  await client.connect();
  const applied = await migrate({ client }, folder);
  await client.end();
  console.log(applied.map((each) => each.fileName).join("\n"));
}

main(process.argv.slice(2)).catch((error) => {
  console.error(error);
  process.exit(1);
});
