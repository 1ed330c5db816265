// Run drizzle's migrator: node drizzle.cjs URL FOLDER
const { drizzle } = require("drizzle-orm/node-postgres");
const { migrate } = require("drizzle-orm/node-postgres/migrator");
const { Pool } = require("pg");

async function main([connectionString, migrationsFolder]) {
  const pool = new Pool({ connectionString });
  await migrate(drizzle(pool), { migrationsFolder });
  await pool.end();
}

main(process.argv.slice(2)).catch((error) => {
  console.error(error);
  process.exit(1);
});
